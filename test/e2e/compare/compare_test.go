package compare

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestJudge(t *testing.T) {
	found := []Difference{{At: "a/b", Own: `"x"`, Peer: absent}, {At: "c", Own: "1", Peer: "2"}}
	ab := Expected{Row: "one", At: "a/b", Own: "x", Peer: absent}
	c := Expected{Row: "two", At: "c", Own: 1, Peer: Anything}
	rows := []string{"one", "two"}
	for name, tc := range map[string]struct {
		expected             []Expected
		unexplained, missing int
	}{
		"all explained":                    {expected: []Expected{ab, c}},
		"one not explained":                {expected: []Expected{ab}, unexplained: 1},
		"another value on the own side":    {expected: []Expected{ab, {Row: "two", At: "c", Own: 3, Peer: 2}}, unexplained: 1, missing: 1},
		"another value on the peer's side": {expected: []Expected{ab, {Row: "two", At: "c", Own: 1, Peer: 3}}, unexplained: 1, missing: 1},
		"another place":                    {expected: []Expected{ab, {Row: "two", At: "d", Own: 1, Peer: 2}}, unexplained: 1, missing: 1},
		"a value where there is none":      {expected: []Expected{{Row: "one", At: "a/b", Own: "x", Peer: Anything}, c}, unexplained: 1, missing: 1},
		"expected, but did not occur":      {expected: []Expected{ab, c, {Row: "one", At: "e", Own: 1, Peer: 2}}, missing: 1},
		"a row that does not exist":        {expected: []Expected{ab, {Row: "three", At: "c", Own: 1, Peer: 2}}, missing: 1},
		"neither a row, nor did it occur":  {expected: []Expected{ab, c, {Row: "", At: "e"}}, missing: 2},
	} {
		t.Run(name, func(t *testing.T) {
			j := Judge(found, tc.expected, rows)
			if len(j.Unexplained) != tc.unexplained || len(j.Missing) != tc.missing {
				t.Errorf("unexplained %v, missing %v", j.Unexplained, j.Missing)
			}
			if j.Sound() != (tc.unexplained+tc.missing == 0) {
				t.Errorf("sound is %t", j.Sound())
			}
		})
	}
}

func TestAliases(t *testing.T) {
	aliases := NewAliases("s001self")
	aliases.UID("0d4a9e01-1111-4111-8111-000000000001", "claim a")
	aliases.UID("0d4a9e02-1111-4111-8111-000000000002", "claim b")
	aliases.Add("vol-1", "handle of pvc-0d4a9e01-1111-4111-8111-000000000001")
	got, err := aliases.Replace(map[string]any{
		"pvc-0d4a9e01-1111-4111-8111-000000000001": "s001self-fast",
		"b":    "pvc-0d4a9e02-1111-4111-8111-000000000002",
		"cut":  "pvc-0d4a9e01111141",
		"when": "2026-01-02T03:04:05.123456Z",
		"who":  "1764110000123-4567-s001self.compare.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"b":"pvc-(claim b)","cut":"pvc-(claim a:14)","pvc-(claim a)":"ID-fast","when":"(time)","who":"(start)-(number)-ID.compare.example"}`
	if compact(got) != want {
		t.Errorf("got %s, want %s", compact(got), want)
	}
}

func TestDiffOfLists(t *testing.T) {
	if found := Diff([]any{"a", "b"}, []any{"a"}); len(found) != 1 || found[0].Own != `["a","b"]` {
		t.Errorf("lists of different lengths: %v", found)
	}
	if found := Diff(map[string]any{"a": nil}, map[string]any{}); len(found) != 1 || found[0].Own != "null" || found[0].Peer != absent {
		t.Errorf("null is not absent: %v", found)
	}
}

func TestRows(t *testing.T) {
	table := func(lines ...string) string { return "text\n\n" + strings.Join(lines, "\n") + "\n\ntext" }
	header, line := "| name | difference |", "|--|--|"
	rows, err := Rows(table(header, line, "| one | a |") + table(header, line, "| two-2 | b |"))
	if err != nil || !slices.Equal(rows, []string{"one", "two-2"}) {
		t.Errorf("got %v, %v", rows, err)
	}
	for name, document := range map[string]string{
		"no name":          table(header, line, "| A row without a name | a |"),
		"no column":        table("| difference | name |", line, "| one | a |"),
		"one name twice":   table(header, line, "| one | a |", "| one | b |"),
		"in another table": table(header, line, "| one | a |") + table(header, line, "| one | b |"),
	} {
		if _, err := Rows(document); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRowsOfTheDocument fails when a row has no name.
func TestRowsOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Rows(string(document))
	if err != nil || len(rows) < 60 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	// The texts of events are not compared at all.
	if !slices.Contains(rows, "event-texts") {
		t.Error("there is no row event-texts")
	}
}

func TestLoadRefuses(t *testing.T) {
	good := "summary: s\nsteps:\n- apply: a.yaml\n- wait: {bound: a}\n"
	for name, files := range map[string]map[string]string{
		"no script":               {"a.yaml": ""},
		"no summary":              {"scenario.yaml": "steps: [{restart: true}]"},
		"unknown field":           {"scenario.yaml": good + "stepz: []", "a.yaml": ""},
		"unknown controller":      {"scenario.yaml": good + "controllers: [x]", "a.yaml": ""},
		"no file":                 {"scenario.yaml": good},
		"a file that is not used": {"scenario.yaml": good, "a.yaml": "", "b.yaml": ""},
		"two things in a step":    {"scenario.yaml": good + "- {restart: true, record: x}", "a.yaml": ""},
		"nothing in a step":       {"scenario.yaml": good + "- {}", "a.yaml": ""},
		"two things to wait for":  {"scenario.yaml": good + "- wait: {bound: a, gone: claim a}", "a.yaml": ""},
		"nothing to wait for":     {"scenario.yaml": good + "- wait: {within: 1s}", "a.yaml": ""},
		"no duration":             {"scenario.yaml": good + "- wait: {bound: a, within: 5}", "a.yaml": ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fstest.MapFS{}
			for file, content := range files {
				dir["x/"+file] = &fstest.MapFile{Data: []byte(content)}
			}
			if _, err := Load(dir); err == nil {
				t.Error("no error")
			}
		})
	}
	dir := fstest.MapFS{"x/scenario.yaml": {Data: []byte(good)}, "x/a.yaml": {}}
	if scenarios, err := Load(dir); err != nil || len(scenarios) != 1 || scenarios[0].Name != "x" {
		t.Errorf("a good one: %v, %v", scenarios, err)
	}
}

func TestBothInVainIsAnError(t *testing.T) {
	for _, tc := range []struct {
		own, peer string
		wrong     bool
	}{{happened, happened, false}, {inVain, happened, false}, {happened, inVain, false}, {inVain, inVain, true}} {
		err := bothInVain(map[string]any{"step 1": tc.own}, map[string]any{"step 1": tc.peer})
		if (err != nil) != tc.wrong {
			t.Errorf("own %s, peer %s: %v", tc.own, tc.peer, err)
		}
	}
}
