package names

// Nearest returns the candidate that a mistyped word was probably meant to be,
// for a "did you mean" in an error. It counts edits: a byte inserted, removed,
// replaced, or swapped with its neighbour; the case of ASCII letters does not
// count. One edit is allowed, and one more for each six bytes of the candidate,
// but never as many as would replace all of it. The first of equals wins; false
// means that none is near.
//
// Strip what all candidates have in common (a prefix, dashes) beforehand, or it
// makes everything look alike. A word of any length costs no more than one that
// is a little longer than the candidates.
func Nearest(word string, candidates []string) (string, bool) {
	best, fewest := "", -1
	for _, candidate := range candidates {
		limit := min(1+len(candidate)/6, len(candidate)-1)
		if max(len(word)-len(candidate), len(candidate)-len(word)) > limit {
			continue
		}
		if n := edits(word, candidate); n <= limit && (fewest < 0 || n < fewest) {
			best, fewest = candidate, n
		}
	}
	return best, fewest >= 0
}

// edits is the optimal string alignment distance, kept in three rows of the
// usual table: row[j] is the distance from the part of a seen so far to b[:j].
func edits(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		older, old, row = old, row, older
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(old[j+1], row[j]) + 1
			if lower(a[i]) == lower(b[j]) {
				row[j+1] = min(row[j+1], old[j])
				continue
			}
			row[j+1] = min(row[j+1], old[j]+1)
			if i > 0 && j > 0 && lower(a[i]) == lower(b[j-1]) && lower(a[i-1]) == lower(b[j]) {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
