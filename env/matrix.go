package env

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxCells bounds the combinations of [matrix].
const maxCells = 64

// matrixTools are the tools of which [matrix] may list versions.
func matrixTools() []string { return []string{ToolOTP, ToolElixir, ToolOpenSSL} }

// Cell is one combination of the versions that [matrix] lists; "" is a tool
// that it does not. The zero Cell is the build that takes [toolchain] as it is.
type Cell struct {
	OTP, Elixir, OpenSSL string
}

// String writes a cell as ParseCell reads it: "otp=27,elixir=1.18.3".
func (c Cell) String() string { return strings.Join(c.parts("="), ",") }

// Suffix tells the files of a cell from those of others: "-otp-27-elixir-1.18.3".
func (c Cell) Suffix() string {
	parts := c.parts("-")
	if len(parts) == 0 {
		return ""
	}
	return "-" + strings.Join(parts, "-")
}

func (c Cell) parts(sep string) []string {
	var out []string
	for i, version := range []string{c.OTP, c.Elixir, c.OpenSSL} {
		if version != "" {
			out = append(out, matrixTools()[i]+sep+version)
		}
	}
	return out
}

// ParseCell reads a cell: "otp=27,elixir=1.18.3".
func ParseCell(s string) (Cell, error) {
	var c Cell
	for part := range strings.SplitSeq(s, ",") {
		tool, version, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || problem(checkVersion, version) != nil {
			return Cell{}, fmt.Errorf("%s: want tools and versions, such as otp=27,elixir=1.18.3", quote(s))
		}
		at := c.field(tool)
		switch {
		case at == nil:
			return Cell{}, fmt.Errorf("%s: want %s", quote(tool), strings.Join(matrixTools(), ", "))
		case *at != "":
			return Cell{}, fmt.Errorf("%s: stands twice", tool)
		}
		*at = version
	}
	return c, nil
}

func (c *Cell) field(tool string) *string {
	switch tool {
	case ToolOTP:
		return &c.OTP
	case ToolElixir:
		return &c.Elixir
	case ToolOpenSSL:
		return &c.OpenSSL
	}
	return nil
}

// table is what a cell puts over a manifest.
func (c Cell) table() table {
	tools := table{}
	for _, name := range matrixTools() {
		if version := *c.field(name); version != "" {
			tools[name] = table{"version": version}
		}
	}
	if len(tools) == 0 {
		return nil
	}
	return table{"toolchain": tools}
}

// LeftOut is a combination of [matrix] that is no cell, and why.
type LeftOut struct {
	Cell Cell
	Err  error
}

// Cells lists the combinations of [matrix] whose tools work together, in its
// order.
func (m *Manifest) Cells() []Cell { return slices.Clone(m.cells) }

// LeftOut lists the combinations of [matrix] whose tools do not.
func (m *Manifest) LeftOut() []LeftOut { return slices.Clone(m.leftOut) }

// FindCell returns the one cell that has the named versions; those of tools
// that it does not name may be any.
func (m *Manifest) FindCell(named Cell) (Cell, error) {
	var found []Cell
	for _, c := range m.cells {
		fits := true
		for _, tool := range matrixTools() {
			want := *named.field(tool)
			fits = fits && (want == "" || want == *c.field(tool))
		}
		if fits {
			found = append(found, c)
		}
	}
	switch {
	case len(m.cells) == 0:
		return Cell{}, fmt.Errorf("%s: the manifest has no [matrix]", named)
	case len(found) == 0:
		return Cell{}, fmt.Errorf("%s: no cell of the matrix, which has\n%s", named, cellList(m.cells))
	case len(found) > 1:
		return Cell{}, fmt.Errorf("%s: more than one cell of the matrix\n%s", named, cellList(found))
	}
	return found[0], nil
}

func cellList(cells []Cell) string {
	lines := make([]string, len(cells))
	for i, c := range cells {
		lines[i] = "  " + c.String()
	}
	return strings.Join(lines, "\n")
}

// combine makes the cells of [matrix].
func (m *Manifest) combine(fail func(string, error)) {
	matrix := m.root.sub("matrix")
	if matrix == nil {
		return
	}
	all := []Cell{{}}
	for _, tool := range matrixTools() {
		versions := matrix.list(tool)
		if versions == nil {
			continue
		}
		if len(versions) == 0 {
			fail(joinKey("matrix", tool), errors.New("empty: leave it out to build with the one of [toolchain]"))
			return
		}
		if len(all)*len(versions) > maxCells {
			fail("matrix", fmt.Errorf("more than %d combinations", maxCells))
			return
		}
		var next []Cell
		for _, c := range all {
			for _, version := range versions {
				*c.field(tool) = version
				next = append(next, c)
			}
		}
		all = next
	}
	if all[0] == (Cell{}) {
		fail("matrix", errors.New("empty: want versions, such as otp = [\"26\", \"27\"]"))
		return
	}
	m.checkMatrix(all[0], fail)
	for _, c := range all {
		if err := m.compatible(c); err != nil {
			m.leftOut = append(m.leftOut, LeftOut{Cell: c, Err: err})
		} else {
			m.cells = append(m.cells, c)
		}
	}
	if len(m.cells) == 0 {
		fail("matrix", fmt.Errorf("no combination is left: %w", m.leftOut[0].Err))
	}
}

// compatible asks whether the tools of a cell work together, on every platform
// and for every target.
func (m *Manifest) compatible(c Cell) error {
	for _, p := range m.platforms {
		for _, target := range append([]string{""}, m.targets...) {
			t := m.toolchain(p, target, c)
			if err := Compatible(t.OTP.Version, t.Elixir.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMatrix refuses versions of what has but one.
func (m *Manifest) checkMatrix(c Cell, fail func(string, error)) {
	for _, p := range m.platforms {
		for _, target := range append([]string{""}, m.targets...) {
			for _, s := range m.toolchain(p, target, Cell{}).All() {
				at := joinKey("matrix", s.Tool)
				switch named := c.field(s.Tool); {
				case named == nil || *named == "":
				case s.Version == "":
					fail(at, fmt.Errorf("[toolchain] has no %s, which a build without --with takes", s.Tool))
				case s.From != FromSource:
					fail(at, errors.New(`needs from = "source" for the tool: a suite of Debian has one version of it`))
				case s.URL != "" || s.Path.Path != "":
					fail(at, errors.New("the tool has a url or path, at which there is one version"))
				}
			}
		}
	}
}
