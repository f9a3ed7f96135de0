package env

import "fmt"

func closure(all []Package, p Platform, roots []string) ([]Package, error) {
	byName := make(map[string]int, len(all))
	for i := range all {
		if all[i].Platform == p {
			byName[all[i].Name] = i
		}
	}
	keep := make([]bool, len(all))
	count := 0
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
			count++
			queue = append(queue, all[i].Depends...)
		}
	}
	out := make([]Package, 0, count)
	for i := range all {
		if keep[i] {
			out = append(out, all[i])
		}
	}
	return out, nil
}
