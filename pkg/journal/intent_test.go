package journal

import "testing"

func TestIntentThatForgetsIsReadAsOne(t *testing.T) {
	forgetful, exact := intent(1), intent(2)
	forgetful.Forgotten = true
	_, got := fillAll(t, forgetful, exact)
	sameIntents(t, []*Intent{forgetful, exact}, got)
	partial := intent(3)
	partial.Partial = true
	for _, c := range []struct {
		intent *Intent
		want   bool
	}{{forgetful, false}, {partial, false}, {exact, true}} {
		if c.intent.Exact() != c.want {
			t.Errorf("%s: Exact is %t", c.intent.Claim, !c.want)
		}
	}
}

func TestWhatCovers(t *testing.T) {
	first, second := plan(1, "gold"), plan(1, "silver")
	one := func(change func(*Intent)) *Intent {
		next := intent(1)
		next.Plans = append(next.Plans[:0], first, second)
		change(next)
		return next
	}
	for name, c := range map[string]struct {
		change func(*Intent)
		want   bool
	}{
		"the same":         {func(*Intent) {}, true},
		"fewer plans":      {func(i *Intent) { i.Plans = i.Plans[:1] }, true},
		"one more plan":    {func(i *Intent) { i.Plans = append(i.Plans, plan(1, "bronze")) }, false},
		"another first":    {func(i *Intent) { i.Plans[0], i.Plans[1] = second, first }, false},
		"an unusable one":  {func(i *Intent) { i.Useless = "h" }, false},
		"one that forgets": {func(i *Intent) { i.Forgotten = true }, false},
	} {
		if got := one(func(*Intent) {}).Covers(one(c.change)); got != c.want {
			t.Errorf("%s: covered is %t", name, got)
		}
	}
}
