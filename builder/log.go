package builder

import (
	"bytes"
	"io"
	"sync"
)

// tailSize is how much of a program's output an ExitError carries: a screen or
// two of compiler messages.
const tailSize = 16 << 10

// A tail passes writes on and keeps the end of what went through. Both output
// streams of a process write to one.
type tail struct {
	mu  sync.Mutex
	to  io.Writer // may be nil
	end []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if len(t.end) > 2*tailSize {
		t.end = append(t.end[:0], t.end[len(t.end)-tailSize:]...)
	}
	if t.to == nil {
		return len(p), nil
	}
	return t.to.Write(p)
}

// text is the end of the output, from the start of a line where it was cut.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.end) <= tailSize {
		return string(t.end)
	}
	cut := t.end[len(t.end)-tailSize:]
	if i := bytes.IndexByte(cut, '\n'); i >= 0 {
		cut = cut[i+1:]
	}
	return string(cut)
}
