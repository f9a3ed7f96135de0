package env

import "fmt"

func closure(all []Package, p Platform, roots []string) ([]Package, error) {
	byName := make(map[string]int)
	for i, pkg := range all {
		if pkg.Platform == p {
			byName[pkg.Name] = i
		}
	}
	keep := make(map[int]bool)
	queue := append([]string(nil), roots...)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		i, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("package %s is not locked for %s", name, p)
		}
		if !keep[i] {
			keep[i] = true
			queue = append(queue, all[i].Depends...)
		}
	}
	var out []Package
	for i, pkg := range all {
		if keep[i] {
			out = append(out, pkg)
		}
	}
	return out, nil
}
