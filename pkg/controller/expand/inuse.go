package expand

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// inUse are the claims, by UID, whose volumes the driver has last refused to
// expand because they are in use.
type inUse struct {
	mu     sync.Mutex
	claims map[types.UID]struct{}
}

func newInUse() *inUse { return &inUse{claims: map[types.UID]struct{}{}} }

func (u *inUse) mark(uid types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.claims[uid] = struct{}{}
}

func (u *inUse) clear(uid types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.claims, uid)
}

func (u *inUse) marked(uid types.UID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.claims[uid]
	return ok
}
