package hex

import (
	"testing"
)

// The golden bytes were compared with term_to_binary(_, [deterministic]) of
// Erlang/OTP 27; TestShopWithoutNetwork does so anew.
func TestMarker(t *testing.T) {
	l := Locked{
		Name: "jiffy", Version: "1.1.2", Inner: sha(sumA), Outer: sha(sumB),
		Managers: []string{"make", "rebar3"}, Repo: "hexpm",
	}
	want := "\x83h\x02h\x03w\x03hexa\x02a\x00t\x00\x00\x00\x06" +
		"w\x0einner_checksumm\x00\x00\x00\x40" + sumA +
		"w\x08managersl\x00\x00\x00\x02w\x04makew\x06rebar3j" +
		"w\x04namem\x00\x00\x00\x05jiffy" +
		"w\x0eouter_checksumm\x00\x00\x00\x40" + sumB +
		"w\x04repom\x00\x00\x00\x05hexpm" +
		"w\x07versionm\x00\x00\x00\x051.1.2"
	if got := string(Marker(l)); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	l.Managers, l.Outer = nil, ""
	want = "\x83h\x02h\x03w\x03hexa\x02a\x00t\x00\x00\x00\x06" +
		"w\x0einner_checksumm\x00\x00\x00\x40" + sumA + "w\x08managersj" +
		"w\x04namem\x00\x00\x00\x05jiffyw\x0eouter_checksumw\x03nil" +
		"w\x04repom\x00\x00\x00\x05hexpmw\x07versionm\x00\x00\x00\x051.1.2"
	if got := string(Marker(l)); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
