package journal

import "time"

// The pace of commits: a claim that comes alone never waits, as there are some to
// spare; in a burst, a commit waits for many intents, but not for long.
const (
	spareCommits = 10
	commitsEvery = 200 * time.Millisecond
	// manyIntents is the number that is worth a commit at any time.
	manyIntents = 64
)

// pace says when the next commit may be made. It is a bucket of commits that
// fills up slowly. One that is made for many intents empties it, too, but is never
// held up by it.
type pace struct {
	bucket float64
	filled time.Time
}

func newPace(now time.Time) *pace { return &pace{bucket: spareCommits, filled: now} }

// delay is the time until there is a commit in the bucket.
func (p *pace) delay(now time.Time) time.Duration {
	p.fill(now)
	return time.Duration(max(0, 1-p.bucket) * float64(commitsEvery))
}

// spend takes a commit out of the bucket, if there is one.
func (p *pace) spend(now time.Time) {
	p.fill(now)
	p.bucket = max(0, p.bucket-1)
}

func (p *pace) fill(now time.Time) {
	p.bucket = min(spareCommits, p.bucket+float64(now.Sub(p.filled))/float64(commitsEvery))
	p.filled = now
}
