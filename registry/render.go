package registry

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the report as one JSON document.
func (r Report) WriteJSON(w io.Writer) error {
	raw, err := canonical(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", raw)
	return err
}

// WriteText writes the report as tables for people.
func (r Report) WriteText(w io.Writer) error {
	for i, m := range r.Images {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := m.writeText(w); err != nil {
			return err
		}
	}
	return nil
}

func (m ImageReport) writeText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"image", m.Ref}, {"platform", m.Platform}, {"digest", m.Digest.String()}, {"created", m.Created},
		{"user", m.User}, {"runs", strings.Join(append(slices.Clone(m.Entrypoint), m.Cmd...), " ")},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nLAYER\tCOMPRESSED\tUNPACKED\tFILES\tBLOB\t\n")
	files := 0
	for _, l := range m.Layers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t\n", l.Name, bytesText(l.Size), bytesText(l.TarSize), l.Files, l.Digest.Encoded()[:12])
		files += l.Files
	}
	fmt.Fprintf(w, "total\t%s\t%s\t%d\t\t\n", bytesText(m.Size), bytesText(m.TarSize), files)
	fmt.Fprintf(w, "\nPACKAGE\tVERSION\tLAYER\t\n")
	var biggest []FileReport
	for _, l := range m.Layers {
		for _, p := range l.Packages {
			fmt.Fprintf(w, "%s\t%s\t%s\t\n", p.Name, p.Version, l.Name)
		}
		biggest = append(biggest, l.Biggest...)
	}
	slices.SortStableFunc(biggest, func(a, b FileReport) int { return int(max(-1, min(1, b.Size-a.Size))) })
	fmt.Fprintf(w, "\nBIGGEST FILES\tSIZE\t\n")
	for _, f := range biggest[:min(len(biggest), biggestFiles)] {
		fmt.Fprintf(w, "/%s\t%s\t\n", f.Path, bytesText(f.Size))
	}
	return w.Flush()
}

// bytesText is a size in decimal units, as registries bill it.
func bytesText(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 100_000:
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
