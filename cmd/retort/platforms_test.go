package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retort-build/retort/env"
)

// What is made once must be the same on both platforms, and the message says what is not.
func TestChooseMethodRefuses(t *testing.T) {
	const base = "[toolchain]\notp = { version = \"27\", from = \"source\", without = [\"wx\"] }\nelixir = \"1.18.3\"\nopenssl = { version = \"3.5\", from = \"source\" }\n"
	at := "[platform." + other().Arch() + "]\n"
	for _, tt := range []struct{ name, more, want, hint string }{
		{"same", "", "", ""},
		{"native code alone", at + "toolchain.openssl.version = \"3.0\"\ntoolchain.otp.cflags = \"-O3\"\n", "", ""},
		{"emulated", at + "method = \"emulate\"\ntoolchain.otp.version = \"26\"\n", "", ""},
		{"native", at + "method = \"native\"\n", "method = \"native\" in [platform." + other().Arch(), "a machine of that architecture"},
		{"version", at + "toolchain.otp.version = \"26\"\n", "toolchain.otp.version \"26\" there and \"27\" here", "method = \"emulate\" in"},
		{"applications", at + "toolchain.otp.without = [\"wx\", \"ssh\"]\n", "toolchain.otp.without [\"ssh\" \"wx\"] there and [\"wx\"] here", "method = \"emulate\" in"},
		{"tools nobody asks for", at + "toolchain.from = \"source\"\ntoolchain.elixir.from = \"debian\"\n", "", ""},
		{"options", at + "toolchain.otp.configure = [\"--without-ssh\"]\n", "toolchain.otp.configure [\"--without-ssh\"] there and [] here", "method = \"emulate\" in"},
		{"packages", at + "toolchain.otp.packages = [\"unixodbc-dev\"]\n", "toolchain.otp.packages [\"unixodbc-dev\"] there", "method = \"emulate\" in"},
		{"place", at + "toolchain.elixir.from = \"source\"\n", "toolchain.elixir.from \"source\" there and \"debian\" here", "method = \"emulate\" in"},
		{"platforms", fmt.Sprintf("platforms = [%q]\n", other()), "manifest has " + string(other()), fmt.Sprintf("add %q to platforms", native())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			manifest := base + tt.more
			if tt.name == "platforms" {
				manifest = tt.more + base
			}
			w := lockedWorkspace(t, manifest, other(), "", "", "")
			err := w.chooseMethod()
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if crossed := w.host != nil; crossed == (w.config.Method == env.MethodEmulate) {
					t.Errorf("cross compilation: %v", crossed)
				}
				return
			}
			var hint *hintError
			if !errors.As(err, &hint) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(hint.hint, tt.hint) {
				t.Errorf("%v, want %q and the hint %q", err, tt.want, tt.hint)
			}
		})
	}
}
