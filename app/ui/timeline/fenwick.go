package timeline

// fenwick keeps heights so that changing one, and the sum of those before it, take
// logarithmic time.
type fenwick struct {
	heights []float32
	tree    []float64 // 1-based
}

// reset takes all heights anew.
func (f *fenwick) reset(heights []float32) {
	f.heights = heights
	f.tree = append(f.tree[:0], 0)
	for _, h := range heights {
		f.tree = append(f.tree, float64(h))
	}
	for i := 1; i < len(f.tree); i++ {
		if j := i + i&-i; j < len(f.tree) {
			f.tree[j] += f.tree[i]
		}
	}
}

// set changes one.
func (f *fenwick) set(i int, h float32) {
	d := float64(h) - float64(f.heights[i])
	if d == 0 {
		return
	}
	f.heights[i] = h
	for j := i + 1; j < len(f.tree); j += j & -j {
		f.tree[j] += d
	}
}

// before is the sum of the first n.
func (f *fenwick) before(n int) float32 {
	s := 0.0
	for j := n; j > 0; j -= j & -j {
		s += f.tree[j]
	}
	return float32(s)
}

// at is the row that a height falls into, and how far into it.
func (f *fenwick) at(y float32) (i int, rest float32) {
	if len(f.heights) == 0 {
		return 0, 0
	}
	left := float64(max(0, y))
	step := 1
	for step*2 < len(f.tree) {
		step *= 2
	}
	for ; step > 0; step /= 2 {
		if i+step < len(f.tree) && f.tree[i+step] <= left {
			i += step
			left -= f.tree[i]
		}
	}
	if i >= len(f.heights) {
		i = len(f.heights) - 1
		return i, f.heights[i]
	}
	return i, float32(left)
}
