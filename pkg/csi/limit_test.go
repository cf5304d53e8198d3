package csi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

func TestLimitBoundsEachKindOfCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := newBusy()
		started := time.Now()
		var running sync.WaitGroup
		for _, call := range verbs(limited(driver, 3, nil)) {
			for n := range 9 {
				running.Go(func() {
					if err := call(t.Context(), fmt.Sprint(n)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		running.Wait()
		for verb := range verbs(driver) {
			if driver.most[verb] != 3 {
				t.Errorf("at most %d of %s were under way at once, want 3", driver.most[verb], verb)
			}
		}
		if took := time.Since(started); took != 3*callDuration {
			t.Errorf("9 calls of each kind, 3 at once, took %s, want %s", took, 3*callDuration)
		}
	})
}

func TestLimitServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := newBusy()
		create := verbs(limited(driver, 1, nil))["CreateVolume"]
		var running sync.WaitGroup
		var want []string
		for n := range 8 {
			running.Go(func() { _ = create(t.Context(), fmt.Sprint(n)) })
			synctest.Wait() // until this one waits
			want = append(want, fmt.Sprintf("CreateVolume %d", n))
		}
		running.Wait()
		if !slices.Equal(driver.begun, want) {
			t.Errorf("the calls began as %q, want %q", driver.begun, want)
		}
	})
}

func TestLimitStops(t *testing.T) {
	for verb := range verbs(newBusy()) {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver, stop := newBusy(), make(chan struct{})
				call := verbs(limited(driver, 1, stop))[verb]
				errs := map[string]error{}
				var mu sync.Mutex
				var running sync.WaitGroup
				start := func(name string) {
					running.Go(func() {
						err := call(t.Context(), name)
						mu.Lock()
						defer mu.Unlock()
						errs[name] = err
					})
					synctest.Wait()
				}
				start("under way")
				start("waiting")
				close(stop)
				synctest.Wait()
				start("new")
				running.Wait()
				start("new, though there is a place")
				running.Wait()
				for name, err := range errs {
					if refused := name != "under way"; errors.Is(err, csi.ErrStopping) != refused {
						t.Errorf("the call %q has the error %v", name, err)
					}
				}
				if want := []string{verb + " under way"}; !slices.Equal(driver.begun, want) {
					t.Errorf("the driver got %q, want %q", driver.begun, want)
				}
			})
		})
	}
}

func TestLimitHeedsTheContext(t *testing.T) {
	for verb := range verbs(newBusy()) {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver := newBusy()
				call := verbs(limited(driver, 1, nil))[verb]
				var running sync.WaitGroup
				running.Go(func() { _ = call(t.Context(), "first") })
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), callDuration/2)
				defer cancel()
				if err := call(ctx, "second"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the call whose context ends while it waits has the error %v", err)
				}
				running.Wait()
				// The place that it waited for is not lost.
				if err := call(t.Context(), "third"); err != nil {
					t.Error(err)
				}
				if want := []string{verb + " first", verb + " third"}; !slices.Equal(driver.begun, want) {
					t.Errorf("the driver got %q, want %q", driver.begun, want)
				}
			})
		})
	}
}

func TestLimitGivesThePlaceBackAfterAPanic(t *testing.T) {
	for verb, call := range verbs(limited(panicking{}, 1, nil)) {
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s did not reach the driver", verb)
					}
				}()
				_ = call(ctx, "x")
			}()
			cancel()
		}
	}
}

type panicking struct{ grpc.ClientConnInterface }

func (panicking) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	panic("called")
}
