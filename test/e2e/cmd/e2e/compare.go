package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/compare"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

type compareFlags struct {
	scenarios, rows string
	core, keepLogs  bool
	lanes           int
	records         string
}

func newCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare [NAME]...",
		Short: "Play scenarios with the sidecar and its peers, and see whether they differ only as documented",
		Long: `Play scenarios with this project's sidecar and with its peers, external-provisioner and
external-resizer, and print a table of the differences.

Each NAME is a regular expression; the scenarios whose names match one are played, all
without any. The exit code is 1 when there is a difference that is not expected, or one
that is expected is not there.`,
		RunE: func(cmd *cobra.Command, patterns []string) error {
			scenarios, rows, err := f.load(patterns)
			if err != nil {
				return err
			}
			return onStage(cmd, f.keepLogs, func(s *stage.Stage) error { return f.run(cmd.Context(), s, scenarios, rows) })
		},
	}
	set := cmd.Flags()
	lanesFlag(set, &f.lanes)
	keepLogsFlag(set, &f.keepLogs)
	set.StringVar(&f.scenarios, "scenarios", "test/e2e/compare/scenarios", "`directory` of the scenarios")
	set.StringVar(&f.rows, "rows", "docs/compatibility.md", "document whose rows explain differences")
	set.BoolVar(&f.core, "core", false, "play the core scenarios only")
	set.StringVar(&f.records, "records", "", "`directory` to write what was compared to")
	return cmd
}

// run fails unless all is as expected.
func (f compareFlags) run(ctx context.Context, s *stage.Stage, scenarios []*compare.Scenario, rows []string) error {
	programs, err := compare.ProgramsIn(s)
	if err != nil {
		return err
	}
	begin, done := time.Now(), 0
	var writing error
	results, err := compare.Run(ctx, s, scenarios, compare.Options{
		Programs: programs, Rows: rows, Lanes: f.lanes,
		Progress: func(r compare.Result) {
			done++
			say(fmt.Sprintf("%5.0fs  %3d of %d  %s: %s", time.Since(begin).Seconds(), done, len(scenarios), r.Scenario.Name, r.Summary()))
			writing = errors.Join(writing, f.write(r))
		},
	})
	say("\n" + compare.Table(results))
	for _, result := range results {
		fmt.Print(result.Details())
	}
	if err := errors.Join(err, writing); err != nil {
		return err
	}
	if len(results) != len(scenarios) || slices.ContainsFunc(results, func(r compare.Result) bool { return !r.Sound() }) {
		return errors.New("not all scenarios went as expected")
	}
	return nil
}

// load reads the scenarios that are to be played, and the names of the rows.
func (f compareFlags) load(patterns []string) ([]*compare.Scenario, []string, error) {
	document, err := os.ReadFile(f.rows)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the rows: %w", err)
	}
	rows, err := compare.Rows(string(document))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the rows of %s: %w", f.rows, err)
	}
	scenarios, err := compare.Load(os.DirFS(f.scenarios))
	if err != nil {
		return nil, nil, err
	}
	chosen, err := choose(scenarios, f.core, patterns)
	return chosen, rows, err
}

// choose selects scenarios whose names match one of the patterns, all without one.
func choose(scenarios []*compare.Scenario, core bool, patterns []string) ([]*compare.Scenario, error) {
	var expressions []*regexp.Regexp
	for _, pattern := range patterns {
		expression, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("reading the names of scenarios: %w", err)
		}
		expressions = append(expressions, expression)
	}
	chosen := slices.DeleteFunc(scenarios, func(s *compare.Scenario) bool {
		named := len(expressions) == 0 || slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(s.Name) })
		return !named || core && !s.Core
	})
	if len(chosen) == 0 {
		return nil, errors.New("there are no such scenarios")
	}
	return chosen, nil
}

// write writes what was compared to files.
func (f compareFlags) write(r compare.Result) error {
	if f.records == "" {
		return nil
	}
	if err := os.MkdirAll(f.records, 0o755); err != nil {
		return fmt.Errorf("writing records: %w", err)
	}
	for name, record := range map[string]any{"own": r.Own, "peer": r.Peer} {
		content, err := json.MarshalIndent(record, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding records: %w", err)
		}
		if err := os.WriteFile(filepath.Join(f.records, strings.ReplaceAll(r.Scenario.Name, "/", ".")+"."+name+".json"), content, 0o644); err != nil {
			return fmt.Errorf("writing records: %w", err)
		}
	}
	return nil
}
