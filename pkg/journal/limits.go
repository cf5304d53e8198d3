package journal

import (
	"bytes"
	"cmp"
	"fmt"
)

// What is read back may have been written by anybody who may write ConfigMaps, so all of it
// is bounded. What this program writes is far below most limits; where it could get near
// one, it is looked at before the write, too.
const (
	// maxText is the size of a value in bytes, decompressed: the topology of more than
	// 30,000 places.
	maxText = 4 << 20
	// maxBatchText is that of all values of a batch.
	maxBatchText = 16 << 20
	// maxRecords is the number of records in a batch.
	maxRecords = 5000
	// maxRecordPlans is the number of requests in a record. Older versions did not bound
	// what they wrote.
	maxRecordPlans = 128
	// maxPlaces is the number of topology terms that a record's requests refer to.
	maxPlaces = 200_000
	// maxValues is the number of JSON values in a text: some bytes of text can become
	// hundreds in memory.
	maxValues = 120_000
	// maxGeneration is far beyond any number of records. One that is not signed may not
	// come near it: what this process writes has higher ones.
	maxGeneration = 1 << 53
	maxUnsigned   = 1 << 40
	// maxUnsignedOfClaim is the number of records of one claim that nobody has signed. An
	// older version has mostly one, and some more where it has crashed.
	maxUnsignedOfClaim = 8
	// maxName is the length of a name, a UID or a handle in bytes. The API server takes
	// names up to 253, and the CSI specification wants handles up to 128.
	maxName = 1024
	// maxReplaced is the number of batches that a record replaces.
	maxReplaced = 1000
)

// within returns an error if a number is beyond its limit.
func within(what string, got, most int64) error {
	if got > most || got < 0 {
		return fmt.Errorf("%s is %d, and may be %d at most: this program has not written it", what, got, most)
	}
	return nil
}

// measure is a writer that counts what a JSON text has.
type measure struct {
	bytes int
	// values is about the number of values, and never less.
	values int
}

func (m *measure) Write(text []byte) (int, error) {
	m.bytes += len(text)
	for _, sign := range []string{",", "{", "["} {
		m.values += bytes.Count(text, []byte(sign))
	}
	return len(text), nil
}

// check returns which limit the text does not keep.
func (m *measure) check(most int) error {
	return cmp.Or(
		within("the size in bytes", int64(m.bytes), int64(most)),
		within("the number of JSON values", int64(m.values), maxValues),
	)
}

// check returns which limit an entry does not keep.
func (e *entry) check() error {
	return cmp.Or(
		within("the generation", e.Generation, maxGeneration),
		within("the number of requests", int64(len(e.Plans)), maxRecordPlans),
		within("the number of replaced batches", int64(len(e.Replaces)), maxReplaced),
		within("the length of the volume handle", int64(len(e.Useless)), maxName),
		within("the length of the claim's name", int64(len(e.Claim.Namespace)+len(e.Claim.Name)), maxName),
		within("the length of the claim's UID", int64(len(e.Claim.UID)), maxName),
		within("the number of places", e.places(), maxPlaces),
	)
}

// places is the number of topology terms that the requests refer to. Each run may refer
// to all terms of the batch.
func (e *entry) places() int64 {
	var n int64
	for _, plan := range e.Plans {
		if plan.Topology == nil {
			continue
		}
		for _, runs := range [][]run{plan.Topology.Requisite, plan.Topology.Preferred} {
			for _, r := range runs {
				if r.Count < 0 || r.Count > maxPlaces || n > maxPlaces {
					return maxPlaces + 1
				}
				n += int64(r.Count)
			}
		}
	}
	return n
}
