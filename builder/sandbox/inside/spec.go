package inside

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

const (
	// maxFrame bounds one message between the engine and its init. The kernel
	// takes at most 6 MiB of arguments and environment, which base64 makes 8.
	maxFrame = 16 << 20
	// MaxLowers is the kernel's limit of 500 directories an overlay, less
	// the one that carries missing mount points.
	MaxLowers = 499
)

// text is a string of any bytes; JSON alone would replace those that are not
// UTF-8.
type Text string

func (t Text) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, []byte(t)), nil
}

func (t *Text) UnmarshalText(b []byte) error {
	s, err := base64.RawStdEncoding.DecodeString(string(b))
	*t = Text(s)
	return err
}

// spec is what the init is told: builder.Process without its streams.
type Spec struct {
	Root     []Text `json:"root"`
	Scratch  bool   `json:"scratch,omitempty"`
	Work     *Work  `json:"work,omitempty"`
	Tmpfs    []Text `json:"tmpfs,omitempty"`
	Binds    []Bind `json:"binds,omitempty"`
	Argv     []Text `json:"argv"`
	Env      []Text `json:"env"`
	Dir      Text   `json:"dir"`
	NoStdin  bool   `json:"noStdin,omitempty"`
	ASLR     bool   `json:"aslr,omitempty"`
	Terminal bool   `json:"terminal,omitempty"`
	Rows     uint16 `json:"rows,omitempty"`
	Cols     uint16 `json:"cols,omitempty"`
	// Legacy mounts overlays as kernels without lowerdir+ must.
	Legacy bool `json:"legacy,omitempty"`
}

type Work struct {
	Path   Text   `json:"path"`
	Lowers []Text `json:"lowers"`
	Upper  Text   `json:"upper"`
	Tmp    Text   `json:"tmp"`
}

type Bind struct {
	Source Text `json:"source"`
	Target Text `json:"target"`
}

// reply is what the init says: that the terminal is there, that a step of its
// set-up failed, or how the program ended.
type Reply struct {
	Terminal bool   `json:"terminal,omitempty"`
	Fault    *Fault `json:"fault,omitempty"`
	Exit     *Exit  `json:"exit,omitempty"`
}

type Exit struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
}

func plain(in []Text) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// Encode is v as JSON behind its length.
func Encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > maxFrame {
		return nil, fmt.Errorf("message of %d bytes, at most %d", len(body), maxFrame)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), nil
}

// Decode reads one message into v. It returns io.EOF if there is none.
func Decode(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("message of %d bytes, at most %d", n, maxFrame)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(body) != int(n) {
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(body, v)
}
