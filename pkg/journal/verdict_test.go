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
			Claim: func() (ClaimState, error) { return ClaimGone, errors.New("asked about a record that counts by itself") },
			Vouch: func() error { return errors.New("asked about a signed record") },
		}
		change(&f)
		return f
	}
	claim := func(state ClaimState) func() (ClaimState, error) {
		return func() (ClaimState, error) { return state, nil }
	}
	unsigned := func(state ClaimState, vouch error) Facts {
		return Facts{Own: own, Now: now, MaxAge: time.Hour, Claim: claim(state), Vouch: func() error { return vouch }}
	}
	old := func(state ClaimState) Facts {
		return signed(func(f *Facts) { f.Origin.Written, f.Claim = now.Add(-25*time.Hour), claim(state) })
	}
	failed := errors.New("no API server")
	for name, c := range map[string]struct {
		facts Facts
		want  string
	}{
		"the own one":                   {signed(func(*Facts) {}), ""},
		"another cluster":               {signed(func(f *Facts) { f.Origin.Of.Cluster = "c-2" }), "another cluster"},
		"another driver":                {signed(func(f *Facts) { f.Origin.Of.Driver = "other" }), "another driver"},
		"another namespace":             {signed(func(f *Facts) { f.Origin.Of.Namespace = "other" }), "another namespace"},
		"another node":                  {signed(func(f *Facts) { f.Origin.Of.Node = "other" }), "another node"},
		"cluster unknown, to it":        {signed(func(f *Facts) { f.Origin.Of.Cluster = "" }), ""},
		"cluster unknown, to us":        {signed(func(f *Facts) { f.Own.Cluster = "" }), ""},
		"old, and its claim is gone":    {old(ClaimGone), "25h0m0s ago"},
		"old, and its claim waits":      {old(ClaimWaits), ""},
		"old, and its volume is stored": {old(ClaimStored), ErrNeedless.Error()},
		"old, without a limit":          {signed(func(f *Facts) { f.Origin.Written, f.MaxAge = now.Add(-25*time.Hour), 0 }), ""},
		"of nobody, and confirmed":      {unsigned(ClaimWaits, nil), ""},
		"of nobody, and not confirmed":  {unsigned(ClaimWaits, errors.New("another size")), "not signed by this installation, and its claim does not confirm it: another size"},
		"of nobody, for nobody":         {unsigned(ClaimGone, nil), "not signed by this installation, and its claim does not exist"},
		"of nobody, and made up":        {unsigned(ClaimStored, errors.New("another size")), "does not confirm it: another size"},
		"of nobody, and needless":       {unsigned(ClaimStored, nil), ErrNeedless.Error()},
		"not known": {signed(func(f *Facts) {
			f.Origin.Signed, f.Claim = false, func() (ClaimState, error) { return ClaimGone, failed }
		}), ErrUnknown.Error() + ": no API server"},
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
