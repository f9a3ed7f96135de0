package env_test

import (
	"errors"
	"testing"

	"github.com/retort-build/retort/env"
)

func TestCompatible(t *testing.T) {
	for _, tt := range []struct {
		otp, elixir string
		problem     string
		unknown     bool
	}{
		{otp: "27.3.4.1", elixir: "1.18.3"},
		{otp: "25.2.3", elixir: "1.14.0"},
		{otp: "29.1.1", elixir: "1.20.4"},
		{otp: "28.0-rc1", elixir: "1.19.0-rc.0"},
		{otp: "27", elixir: "1.18"},
		{otp: "29.1.1", elixir: "1.18.3", problem: "Elixir 1.18.3 runs on OTP 25 to 27, not on 29.1.1: take elixir 1.20, or otp 27"},
		{otp: "24.3", elixir: "1.18.3", problem: "Elixir 1.18.3 runs on OTP 25 to 27, not on 24.3: take elixir 1.16, or otp 25"},
		{otp: "26.2", elixir: "1.14.0", problem: "Elixir 1.14.0 runs on OTP 23 to 25 (26 from 1.14.5 on), not on 26.2: take elixir 1.14.5, or otp 25"},
		{otp: "26.2", elixir: "1.14.5"},
		{otp: "26.2", elixir: "1.14"}, // the newest 1.14
		{otp: "27", elixir: "1.14.5", problem: "Elixir 1.14.5 runs on OTP 23 to 26, not on 27: take elixir 1.20, or otp 26"},
		{otp: "16.3", elixir: "1.0.0", problem: "Elixir 1.0.0 runs on OTP 17 (18 from 1.0.5 on), not on 16.3: take otp 17"},
		{otp: "30.0", elixir: "1.19.5", problem: "Elixir 1.19.5 runs on OTP 26 to 28, not on 30.0: take otp 28"},
		{otp: "30.0", elixir: "1.20.9", unknown: true},
		{otp: "30.0", elixir: "1.23.0", unknown: true},
		{otp: "28.1", elixir: "1.23.0", unknown: true},
		{otp: "26.2", elixir: "1.23.0", problem: "Elixir 1.23.0 runs on OTP 27 or later, not on 26.2: take elixir 1.19, or otp 27"},
		{otp: "27.0", elixir: "2.0.0", unknown: true},
		{otp: "main", elixir: "1.18.3", unknown: true},
		{otp: "27.0", elixir: "main", unknown: true},
		{otp: "27.0", elixir: "1.x", unknown: true},
	} {
		err := env.Compatible(tt.otp, tt.elixir)
		got := ""
		if err != nil {
			got = err.Error()
			var refused *env.CompatibilityError
			if !errors.As(err, &refused) {
				t.Errorf("%T", err)
			}
		}
		if got != tt.problem {
			t.Errorf("otp %s, elixir %s:\n got %q\nwant %q", tt.otp, tt.elixir, got, tt.problem)
		}
		if known := env.CompatibilityKnown(tt.otp, tt.elixir); err == nil && known == tt.unknown {
			t.Errorf("otp %s, elixir %s: known: %t", tt.otp, tt.elixir, known)
		}
	}
}
