package controller

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func (l *VolumeLocks) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.locks)
}

func lock(t *testing.T, l *VolumeLocks, uid string) (unlock func()) {
	t.Helper()
	unlock, err := l.Lock(t.Context(), uid)
	if err != nil {
		t.Fatalf("locking %q: %v", uid, err)
	}
	return unlock
}

func TestVolumeLocksExclude(t *testing.T) {
	const workers, turns = 8, 200
	var locks VolumeLocks
	holders := map[string]*int{"a": new(int), "b": new(int)} // The race detector watches.
	var group sync.WaitGroup
	for i := range workers {
		uid := []string{"a", "b"}[i%2]
		group.Go(func() {
			for range turns {
				unlock, err := locks.Lock(context.Background(), uid)
				if err != nil {
					t.Error(err)
					return
				}
				if *holders[uid]++; *holders[uid] != 1 {
					t.Errorf("%d hold the lock of %q", *holders[uid], uid)
				}
				*holders[uid]--
				unlock()
			}
		})
	}
	group.Wait()
	if n := locks.size(); n != 0 {
		t.Errorf("%d locks are left behind", n)
	}
}

func TestVolumeLocksWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks VolumeLocks
		unlock := lock(t, &locks, "a")
		lock(t, &locks, "b")() // Another volume's is free.
		held := make(chan func())
		go func() { held <- lock(t, &locks, "a") }()
		synctest.Wait()
		select {
		case <-held:
			t.Fatal("two hold the lock")
		default:
		}
		unlock()
		next := <-held
		if n := locks.size(); n != 1 {
			t.Errorf("%d locks while one is held", n)
		}
		next()
		if n := locks.size(); n != 0 {
			t.Errorf("%d locks are left behind", n)
		}
		lock(t, &locks, "a")()
	})
}

func TestVolumeLocksGiveUpWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks VolumeLocks
		unlock := lock(t, &locks, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := locks.Lock(ctx, "a"); got != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Lock = %t, %v; want the context's error alone", got != nil, err)
		}
		if n := locks.size(); n != 1 {
			t.Errorf("%d locks while one is held", n)
		}
		unlock()
		lock(t, &locks, "a")()
		if n := locks.size(); n != 0 {
			t.Errorf("%d locks are left behind", n)
		}
	})
}
