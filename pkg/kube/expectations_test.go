package kube

import (
	"sync"
	"testing"
)

func TestExpectations(t *testing.T) {
	var e Expectations
	if e.Pending("a") {
		t.Error("nothing is expected, but pending")
	}
	e.Observe("a") // what nobody expects
	later := func() bool { return false }
	e.Expect("a", later)
	e.Expect("a", later)
	if !e.Pending("a") || e.Pending("b") {
		t.Errorf("after Expect(a) pending are a: %t, b: %t", e.Pending("a"), e.Pending("b"))
	}
	e.Observe("a")
	if e.Pending("a") {
		t.Error("what was observed is pending")
	}
	e.Expect("a", func() bool {
		if !e.Pending("a") {
			t.Error("the informer is asked before the write is noted: it may show it in between")
		}
		return true
	})
	if len(e.pending) != 0 {
		t.Errorf("%v is kept", e.pending)
	}
}

func TestExpectationsAreSafe(t *testing.T) {
	var e Expectations
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 100 {
				e.Expect("a", func() bool { return false })
				e.Pending("a")
				e.Observe("a")
			}
		})
	}
	running.Wait()
}
