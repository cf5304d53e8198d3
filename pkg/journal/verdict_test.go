package journal

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestVerdict(t *testing.T) {
	own := Installation{Cluster: "c-1", Driver: "d", Namespace: "ns", Node: "n"}
	now := time.Unix(1_700_000_000, 0)
	signed := func(change func(*Facts)) Facts {
		f := Facts{
			Origin: Origin{Signed: true, Of: own, Written: now.Add(-time.Hour)}, Own: own, Now: now, MaxAge: 24 * time.Hour,
			Vouch: func() error { return errors.New("asked about a signed record") },
		}
		change(&f)
		return f
	}
	unsigned := func(vouch error) Facts {
		return Facts{Own: own, Now: now, MaxAge: time.Hour, Vouch: func() error { return vouch }}
	}
	for name, c := range map[string]struct {
		facts Facts
		want  string
	}{
		"the own one":                  {signed(func(*Facts) {}), ""},
		"another cluster":              {signed(func(f *Facts) { f.Origin.Of.Cluster = "c-2" }), "another cluster"},
		"another driver":               {signed(func(f *Facts) { f.Origin.Of.Driver = "other" }), "another driver"},
		"another namespace":            {signed(func(f *Facts) { f.Origin.Of.Namespace = "other" }), "another namespace"},
		"another node":                 {signed(func(f *Facts) { f.Origin.Of.Node = "other" }), "another node"},
		"cluster unknown, to it":       {signed(func(f *Facts) { f.Origin.Of.Cluster = "" }), ""},
		"cluster unknown, to us":       {signed(func(f *Facts) { f.Own.Cluster = "" }), ""},
		"old":                          {signed(func(f *Facts) { f.Origin.Written = now.Add(-25 * time.Hour) }), "25h0m0s ago"},
		"old, and its claim exists":    {signed(func(f *Facts) { f.Origin.Written, f.ClaimExists = now.Add(-25*time.Hour), true }), ""},
		"old, without a limit":         {signed(func(f *Facts) { f.Origin.Written, f.MaxAge = now.Add(-25*time.Hour), 0 }), ""},
		"of nobody, and confirmed":     {unsigned(nil), ""},
		"of nobody, and not confirmed": {unsigned(errors.New("its claim is gone")), "not signed by this installation, and its claim does not confirm it: its claim is gone"},
	} {
		err := Verdict(c.facts)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
