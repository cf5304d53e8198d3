package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// absent stands for a value that one side does not have.
const absent = "absent"

// A Difference is a place in the records of the two sides, and what they have
// there: JSON, or absent.
type Difference struct {
	At   string
	Own  string
	Peer string
}

func (d Difference) String() string { return fmt.Sprintf("%s: own %s, peer %s", d.At, d.Own, d.Peer) }

// Diff finds the places where two trees of JSON differ: the deepest ones that both
// have, and where one side has nothing, the highest.
func Diff(own, peer any) []Difference { return diff("", own, peer) }

func diff(at string, own, peer any) []Difference {
	if ownMap, peerMap, both := pair[map[string]any](own, peer); both {
		return diffMaps(at, ownMap, peerMap)
	}
	// Lists of different lengths have no places to tell apart.
	if ownList, peerList, both := pair[[]any](own, peer); both && len(ownList) == len(peerList) {
		var found []Difference
		for n := range ownList {
			found = append(found, diff(below(at, strconv.Itoa(n)), ownList[n], peerList[n])...)
		}
		return found
	}
	if ownText, peerText := compact(own), compact(peer); ownText != peerText {
		return []Difference{{At: at, Own: ownText, Peer: peerText}}
	}
	return nil
}

func diffMaps(at string, own, peer map[string]any) []Difference {
	var found []Difference
	keys := slices.Collect(maps.Keys(own))
	for key := range peer {
		if _, ok := own[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		ownValue, inOwn := own[key]
		peerValue, inPeer := peer[key]
		switch {
		case !inOwn:
			found = append(found, Difference{At: below(at, key), Own: absent, Peer: compact(peerValue)})
		case !inPeer:
			found = append(found, Difference{At: below(at, key), Own: compact(ownValue), Peer: absent})
		default:
			found = append(found, diff(below(at, key), ownValue, peerValue)...)
		}
	}
	return found
}

func pair[T any](own, peer any) (ownT, peerT T, both bool) {
	ownT, ownIs := own.(T)
	peerT, peerIs := peer.(T)
	return ownT, peerT, ownIs && peerIs
}

func below(at, key string) string {
	if at == "" {
		return key
	}
	return at + "/" + key
}

// compact is a value as one line of JSON.
func compact(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%v", value)
	}
	return string(content)
}
