package env

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const matrix = `[toolchain]
from    = "source"
otp     = "27"
elixir  = "1.18"
openssl = "3.5.7"
[target.quick.toolchain]
openssl = "3.6"
[matrix]
otp    = ["25.2.3", "27"]
elixir = ["1.14.0", "1.18.3"]
`

func TestMatrix(t *testing.T) {
	m := parse(t, matrix)
	if got, want := fmt.Sprint(m.Cells()), "[otp=25.2.3,elixir=1.14.0 otp=25.2.3,elixir=1.18.3 otp=27,elixir=1.18.3]"; got != want {
		t.Errorf("cells %s, want %s", got, want)
	}
	if out := m.LeftOut(); len(out) != 1 || out[0].Cell != (Cell{OTP: "27", Elixir: "1.14.0"}) || out[0].Err == nil {
		t.Errorf("left out %v", out)
	}
	for _, cell := range m.Cells() {
		c, err := m.ForCell(LinuxAMD64, "quick", cell)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Toolchain; c.Cell != cell || got.OTP.Version != cell.OTP || got.Elixir.Version != cell.Elixir || got.OpenSSL.Version != "3.6" || !got.OTP.FromSource() {
			t.Errorf("%s: %+v", cell, got)
		}
		if again, err := ParseCell(cell.String()); again != cell || err != nil {
			t.Errorf("%s read again: %s, %v", cell, again, err)
		}
	}
	if got := m.Cells()[0].Suffix(); got != "-otp-25.2.3-elixir-1.14.0" || (Cell{}).Suffix() != "" {
		t.Error(got)
	}
	if _, err := m.ForCell(LinuxAMD64, "", Cell{OTP: "27"}); err == nil || err.Error() != "otp=27: not a cell of the matrix" {
		t.Error(err)
	}
}

func TestFindCell(t *testing.T) {
	m := parse(t, matrix)
	if c, err := m.FindCell(Cell{OTP: "27"}); err != nil || c != (Cell{OTP: "27", Elixir: "1.18.3"}) {
		t.Errorf("%s, %v", c, err)
	}
	for _, tt := range []struct {
		named Cell
		want  string
	}{
		{Cell{OTP: "25.2.3"}, "otp=25.2.3: more than one cell of the matrix\n  otp=25.2.3,elixir=1.14.0\n  otp=25.2.3,elixir=1.18.3"},
		{Cell{OTP: "28"}, "otp=28: no cell of the matrix, which has\n  otp=25.2.3,elixir=1.14.0\n"},
		{Cell{OTP: "27", OpenSSL: "3.5.7"}, "otp=27,openssl=3.5.7: no cell"},
	} {
		if _, err := m.FindCell(tt.named); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	if _, err := parse(t, minimal).FindCell(Cell{OTP: "27"}); err == nil || err.Error() != "otp=27: the manifest has no [matrix]" {
		t.Error(err)
	}
	for _, in := range []string{"", "otp", "otp=27,otp=27", "hex=2.0.6", "otp=", "otp=../x"} {
		if c, err := ParseCell(in); err == nil {
			t.Errorf("%q is %s", in, c)
		}
	}
}

func TestMatrixProblems(t *testing.T) {
	many := "\"1\"" + strings.Repeat(", \"1.%d\"", 8)
	var args []any
	for i := range 8 {
		args = append(args, i)
	}
	many = fmt.Sprintf(many, args...)
	for _, tt := range []struct{ name, in, want string }{
		{"Debian's", minimal + "[matrix]\notp = [\"26\", \"27\"]\n",
			`m.toml:5: matrix.otp: needs from = "source" for the tool: a suite of Debian has one version of it`},
		{"not asked for", minimal + "from = \"source\"\n[matrix]\nopenssl = [\"3.5\"]\n",
			"m.toml:6: matrix.openssl: [toolchain] has no openssl, which a build without --with takes"},
		{"empty", minimal + "[matrix]\n", `m.toml:4: matrix: empty: want versions, such as otp = ["26", "27"]`},
		{"empty list", minimal + "[matrix]\notp = []\n", `m.toml:5: matrix.otp: empty: leave it out to build with the one of [toolchain]`},
		{"too many", matrix[:strings.Index(matrix, "[matrix]")] + "[matrix]\notp = [" + many + "]\nelixir = [" + many + "]\n", "m.toml:8: matrix: more than 64 combinations"},
		{"no tool", minimal + "[matrix]\nhex = [\"2.0.6\"]\n", "m.toml:5: matrix.hex: unknown key: known here are elixir, openssl, otp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseManifest("m.toml", []byte(tt.in), nil)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v\nwant\n%s", err, tt.want)
			}
		})
	}
	_, err := ParseManifest("m.toml", []byte("[toolchain]\nfrom = \"source\"\notp = \"27\"\nelixir = \"1.14\"\n[matrix]\notp = [\"27\"]\n"), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "m.toml:5: matrix: no combination is left: ") {
		t.Error(err)
	}
}

// The cells' order is that of the manifest, and so is the digest.
func TestMatrixDigest(t *testing.T) {
	m := parse(t, matrix)
	if m.LockDigest() != parse(t, matrix).LockDigest() || m.LockDigest() == parse(t, strings.Replace(matrix, "\"25.2.3\", ", "", 1)).LockDigest() {
		t.Error("the digest is not that of the cells")
	}
	if !slices.Contains(strings.Split(string(m.lockText()), "\n"), `cell "otp=27,elixir=1.18.3" of "quick" on "linux/arm64"`) {
		t.Errorf("%s", m.lockText())
	}
}
