package inside

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"syscall"
	"testing"
)

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	for _, r := range []Reply{{Terminal: true}, {Fault: &Fault{Step: "s\xff", Errno: syscall.EPERM, Host: true}}, {Exit: &Exit{Code: 137, Signal: 9}}} {
		frame, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(frame)
	}
	var terminal, fault, exit, end Reply
	for _, r := range []*Reply{&terminal, &fault, &exit} {
		if err := Decode(&b, r); err != nil {
			t.Fatal(err)
		}
	}
	if !terminal.Terminal || fault.Fault.Step != "s\xff" || !errors.Is(fault.Fault, syscall.EPERM) || exit.Exit.Signal != 9 {
		t.Errorf("got %+v %+v %+v", terminal, fault.Fault, exit.Exit)
	}
	if err := Decode(&b, &end); err != io.EOF {
		t.Errorf("at the end: got %v", err)
	}
	for name, frame := range map[string][]byte{
		"cut length": {0, 0},
		"cut body":   {0, 0, 0, 9, '{'},
		"too long":   binary.BigEndian.AppendUint32(nil, maxFrame+1),
		"not JSON":   {0, 0, 0, 1, '{'},
	} {
		if err := Decode(bytes.NewReader(frame), new(Reply)); err == nil || err == io.EOF {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	seed, err := Encode(Spec{Root: []Text{"/a"}, Argv: []Text{"x"}, Work: &Work{Path: "/w"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Spec
		if Decode(bytes.NewReader(data), &s) != nil {
			return
		}
		again, err := Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Spec
		if err := Decode(bytes.NewReader(again), &back); err != nil {
			t.Fatal(err)
		}
	})
}
