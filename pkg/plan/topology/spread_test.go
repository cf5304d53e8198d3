package topology

import (
	"math"
	"testing"
)

// The numbers are external-provisioner's: a claim that it began must go on in the
// same place.
func TestSpread(t *testing.T) {
	const whole = math.MaxUint32 // So many terms leave the hash as it is.
	for name, test := range map[string]struct {
		claim string
		terms int
		want  int
	}{
		"hash of testset":         {"testset", whole, 1633848515},
		"hash of web":             {"web", whole, 1181096325},
		"hash of mysql":           {"mysql", whole, 4183828397},
		"over 2":                  {"testset", 2, 1},
		"over 3":                  {"testset", 3, 2},
		"over 4":                  {"testset", 4, 3},
		"over 1":                  {"testset", 1, 0},
		"ordinal 0":               {"claimA-testset-0", 4, 3},
		"ordinal 1":               {"claimA-testset-1", 4, 0},
		"ordinal 2":               {"claimA-testset-2", 4, 1},
		"ordinal 3":               {"claimA-testset-3", 4, 2},
		"ordinal 4":               {"claimA-testset-4", 4, 3},
		"without a template name": {"testset-1", 4, 0},
		"another template name":   {"logs-testset-1", 4, 0},
		"dashes before":           {"a-b-c-testset-1", 4, 0},
		"leading zeros":           {"claimA-testset-01", 4, 0},
		"largest ordinal":         {"testset-4294967295", whole, 1633848514},
		"ordinal over 32 bits":    {"x-4294967296", whole, hashOf("x-4294967296")},
		"no ordinal":              {"data-web", whole, hashOf("data-web")},
		"signed ordinal":          {"data-web-+1", whole, hashOf("data-web-+1")},
		"ends in a dash":          {"data-web-", whole, hashOf("data-web-")},
		"an ordinal alone":        {"7", whole, hashOf("7")},
		"a dash and an ordinal":   {"-7", whole, 2166136261 + 7},
		"two dashes":              {"web--7", whole, 2166136261 + 7},
		"empty":                   {"", whole, 2166136261},
	} {
		t.Run(name, func(t *testing.T) {
			if got := spread(test.claim, test.terms); got != test.want {
				t.Errorf("spread(%q, %d) = %d, want %d", test.claim, test.terms, got, test.want)
			}
		})
	}
}

// hashOf is FNV-1 with 32 bits: multiply, then XOR.
func hashOf(s string) int {
	hash := uint32(2166136261)
	for _, b := range []byte(s) {
		hash = hash*16777619 ^ uint32(b)
	}
	return int(hash)
}
