package controller

import (
	"context"
	"sync"
)

// VolumeLocks makes the controllers of one volume take turns: provision,
// delete, expand and modify each hold the lock of the claim's UID while they
// work. The zero value is ready for use.
type VolumeLocks struct {
	mu    sync.Mutex
	locks map[string]*volumeLock
}

type volumeLock struct {
	// token holds one element while the lock is free.
	token chan struct{}
	// users counts the holder and those who wait; at zero the lock is dropped.
	users int
}

// Lock waits for the lock of a volume and returns the function that gives it
// back. The error is that of the context, when it ends first.
func (l *VolumeLocks) Lock(ctx context.Context, uid string) (unlock func(), err error) {
	lock := l.enter(uid)
	select {
	case <-lock.token:
		return func() {
			lock.token <- struct{}{}
			l.leave(uid)
		}, nil
	case <-ctx.Done():
		l.leave(uid)
		return nil, ctx.Err()
	}
}

func (l *VolumeLocks) enter(uid string) *volumeLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks = map[string]*volumeLock{}
	}
	lock, ok := l.locks[uid]
	if !ok {
		lock = &volumeLock{token: make(chan struct{}, 1)}
		lock.token <- struct{}{}
		l.locks[uid] = lock
	}
	lock.users++
	return lock
}

func (l *VolumeLocks) leave(uid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock := l.locks[uid]
	lock.users--
	if lock.users == 0 {
		delete(l.locks, uid)
	}
}
