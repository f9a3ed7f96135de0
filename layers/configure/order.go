package configure

import (
	"fmt"
	"slices"
	"strings"
)

// order sorts packages so that each comes after those it depends on, and by
// name where that leaves a choice. Debian has dependency cycles; within one,
// the order is by name, as if the edges inside it were not there.
func order(packages []Package) ([]Package, error) {
	sorted := slices.Clone(packages)
	slices.SortFunc(sorted, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	index := make(map[string]int, len(sorted))
	for i, p := range sorted {
		if _, dup := index[p.Name]; dup {
			return nil, fmt.Errorf("package %s: twice", p.Name)
		}
		index[p.Name] = i
	}
	edges := make([][]int, len(sorted))
	for i, p := range sorted {
		for _, d := range append([]string{"base-files"}, p.Depends...) {
			// What is not configured here was configured in a layer below.
			if j, ok := index[d]; ok && j != i {
				edges[i] = append(edges[i], j)
			}
		}
		slices.Sort(edges[i])
		edges[i] = slices.Compact(edges[i])
	}
	out := make([]Package, 0, len(sorted))
	for _, cycle := range components(edges) {
		for _, i := range cycle {
			out = append(out, sorted[i])
		}
	}
	return out, nil
}

// components lists the strongly connected components of a graph, each sorted,
// after those it points to: Tarjan's algorithm without recursion, which a long
// chain of dependencies could exhaust.
func components(edges [][]int) [][]int {
	n := len(edges)
	number, low := make([]int, n), make([]int, n)
	onStack := make([]bool, n)
	var stack []int
	var out [][]int
	count := 0
	type frame struct{ node, edge int }
	for start := range n {
		if number[start] != 0 {
			continue
		}
		work := []frame{{start, 0}}
		for len(work) > 0 {
			f := &work[len(work)-1]
			v := f.node
			if f.edge == 0 {
				count++
				number[v], low[v] = count, count
				stack = append(stack, v)
				onStack[v] = true
			}
			if f.edge < len(edges[v]) {
				w := edges[v][f.edge]
				f.edge++
				if number[w] == 0 {
					work = append(work, frame{w, 0})
				} else if onStack[w] {
					low[v] = min(low[v], number[w])
				}
				continue
			}
			work = work[:len(work)-1]
			if len(work) > 0 {
				parent := work[len(work)-1].node
				low[parent] = min(low[parent], low[v])
			}
			if low[v] != number[v] {
				continue
			}
			at := slices.Index(stack, v)
			cycle := slices.Clone(stack[at:])
			stack = stack[:at]
			for _, w := range cycle {
				onStack[w] = false
			}
			slices.Sort(cycle)
			out = append(out, cycle)
		}
	}
	return out
}
