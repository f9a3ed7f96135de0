package hex

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// Wire types of protocol buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var errProtobuf = errors.New("malformed protocol buffer")

// field is one field of a message: a number in value, or bytes in data.
type field struct {
	number uint64
	wire   uint64
	value  uint64
	data   []byte
}

// fields calls f for each field of a message, in its order. Groups, which Hex
// has none of, are refused. What f gets aliases message.
func fields(message []byte, f func(field) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return errProtobuf
		}
		message = message[n:]
		fd := field{number: tag >> 3, wire: tag & 7}
		switch fd.wire {
		case wireVarint:
			if fd.value, n = binary.Uvarint(message); n <= 0 {
				return errProtobuf
			}
		case wireFixed64:
			n = 8
		case wireFixed32:
			n = 4
		case wireBytes:
			size, m := binary.Uvarint(message)
			if m <= 0 || size > uint64(len(message)-m) {
				return errProtobuf
			}
			n = m + int(size) //nolint:gosec // at most len(message)
			fd.data = message[m:n]
		default:
			return errProtobuf
		}
		if n > len(message) {
			return errProtobuf
		}
		message = message[n:]
		if err := f(fd); err != nil {
			return err
		}
	}
	return nil
}

// text returns the UTF-8 text of a length-delimited field.
func (f field) text() (string, error) {
	if f.wire != wireBytes || !utf8.Valid(f.data) {
		return "", errProtobuf
	}
	return string(f.data), nil
}

// bytes returns the bytes of a length-delimited field.
func (f field) bytes() ([]byte, error) {
	if f.wire != wireBytes {
		return nil, errProtobuf
	}
	return f.data, nil
}
