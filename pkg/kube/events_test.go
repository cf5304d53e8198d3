package kube

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestTruncate(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	cases := map[string]struct{ message, want string }{
		"empty":                {"", ""},
		"as long as it may be": {x(1024), x(1024)},
		"too long":             {x(1025), x(1021) + "…"},
		"far too long":         {x(100_000), x(1021) + "…"},
		"up to a character":    {x(1019) + "éé" + x(10), x(1019) + "é…"},
		"within a character":   {x(1020) + "éé" + x(10), x(1020) + "…"},
		"within a long one":    {x(1018) + "🙂🙂" + x(10), x(1018) + "…"},
		"long ones to the end": {strings.Repeat("🙂", 256), strings.Repeat("🙂", 256)},
		"no text at all":       {strings.Repeat("\x80", 2000), "…"},
	}
	for name, c := range cases {
		got := truncate(c.message)
		if got != c.want {
			t.Errorf("%s: %d bytes that end with %q, want %d that end with %q", name, len(got), end(got), len(c.want), end(c.want))
		}
		if len(got) > maxEventMessage || !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, valid: %t", name, len(got), utf8.ValidString(got))
		}
	}
}

func end(s string) string { return s[max(0, len(s)-20):] }

func TestEventsAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := fake.NewClientset()
		events := NewEvents(ctx, client, "driver.example_host")
		subject := claim(metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: "1"})
		events.Normal(subject, "Good", "all is well")
		time.Sleep(time.Second) // Events are named by the time.
		events.Warning(subject, "Bad", strings.Repeat("x", 2000))
		time.Sleep(time.Second)
		events.Recorder().Event(subject, corev1.EventTypeNormal, "Other", "by a library")
		synctest.Wait()
		events.Shutdown()
		sent, err := client.CoreV1().Events("ns").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, e := range sent.Items {
			if e.Source.Component != "driver.example_host" || e.InvolvedObject.UID != "1" || e.InvolvedObject.Kind != "PersistentVolumeClaim" {
				t.Errorf("the event is of %+v, about %+v", e.Source, e.InvolvedObject)
			}
			got[e.Type+" "+e.Reason] = e.Message
		}
		want := map[string]string{
			"Normal Good": "all is well", "Warning Bad": strings.Repeat("x", 1021) + "…", "Normal Other": "by a library",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// An API server that takes no events must not hold up anybody.
func TestEventsNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		clients, err := NewClients(silentServer(t), Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		events := NewEvents(ctx, clients.Events, "x")
		subject := claim(metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: "1"})
		for range 10_000 { // far more than any buffer holds
			events.Warning(subject, "Bad", "x")
		}
		cancel()
		events.Shutdown()
	})
}
