package env

import "fmt"

func selection(all []Package, p Platform, roots, bare []string) ([]Package, error) {
	byName := make(map[string]int, len(all))
	for i := range all {
		if all[i].Platform == p {
			byName[all[i].Name] = i
		}
	}
	keep, alone := make([]bool, len(all)), make([]bool, len(all))
	count := 0
	// take keeps a package and says which it is, unless it is kept already.
	take := func(name string) (int, bool, error) {
		i, ok := byName[name]
		if !ok {
			return 0, false, fmt.Errorf("package %s is not locked for %s", name, p)
		}
		if keep[i] {
			return 0, false, nil
		}
		keep[i] = true
		count++
		return i, true, nil
	}
	queue := append([]string(nil), roots...)
	for len(queue) > 0 {
		i, taken, err := take(queue[0])
		if err != nil {
			return nil, err
		}
		queue = queue[1:]
		if taken {
			queue = append(queue, all[i].Depends...)
		}
	}
	for _, name := range bare {
		i, taken, err := take(name)
		if err != nil {
			return nil, err
		}
		if taken {
			alone[i] = true
		}
	}
	out := make([]Package, 0, count)
	for i := range all {
		if keep[i] {
			out = append(out, all[i])
		}
		if alone[i] {
			out[len(out)-1].Depends = nil
		}
	}
	return out, nil
}
