package topology

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// spread returns the index of the term that an immediately bound claim prefers:
// claims with different names land in different places, and those of a
// StatefulSet (whose names end in an ordinal) take one place after the other.
//
// The numbers are those of external-provisioner (FNV-1, 32 bits, arithmetic
// modulo 2^32), so that a claim whose creation was begun by it goes on in the
// same place.
func spread(claimName string, terms int) int {
	hashed, ordinal := splitOrdinal(claimName)
	hash := fnv.New32()
	_, _ = hash.Write([]byte(hashed))
	return int((hash.Sum32() + ordinal) % uint32(terms))
}

// splitOrdinal returns the part of a claim's name that is hashed and its
// ordinal. For "data-web-3", made by the StatefulSet "web" from the template
// "data", that is "web" and 3. A name without ordinal is hashed whole.
func splitOrdinal(claimName string) (hashed string, ordinal uint32) {
	dash := strings.LastIndexByte(claimName, '-')
	if dash < 0 {
		return claimName, 0
	}
	number, err := strconv.ParseUint(claimName[dash+1:], 10, 32)
	if err != nil {
		return claimName, 0
	}
	hashed = claimName[:dash]
	return hashed[strings.LastIndexByte(hashed, '-')+1:], uint32(number)
}
