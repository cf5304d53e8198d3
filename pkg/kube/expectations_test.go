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
	e.Expect("a")
	e.Expect("a")
	if !e.Pending("a") || e.Pending("b") {
		t.Errorf("after Expect(a) pending are a: %t, b: %t", e.Pending("a"), e.Pending("b"))
	}
	e.Observe("a")
	if e.Pending("a") {
		t.Error("what was observed is pending")
	}
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
				e.Expect("a")
				e.Pending("a")
				e.Observe("a")
			}
		})
	}
	running.Wait()
}
