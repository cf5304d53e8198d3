package bench

import (
	"context"
	"slices"
	"time"
)

// play takes one sample of a contender, and leaves the scene as it was.
type play func(ctx context.Context, s *scene, c contender, m sample) error

// row is something that is measured, on a scene of one or several sizes.
type row struct {
	name, title string
	// text tells what is done.
	text string
	duty duty
	// flags are further ones of all contenders.
	flags []string
	steps []step
	// prepare brings a scene to the size of a step.
	prepare func(ctx context.Context, s *scene, size int) error
	// yardstick measures what the API server can do; nil for rows without one.
	yardstick func(ctx context.Context, s *scene) (float64, error)
	shows     []measure
}

// step is a row's measurement at one size.
type step struct {
	size  int
	title string
	play  play
	goals []goal
}

// goal is what this project's median is to reach: one of the limits is set.
type goal struct {
	of measure
	// atMost and atLeast are absolute.
	atMost, atLeast float64
	// timesPeer is how many times the peers' median it is to be at least,
	// partOfPeer which part of it at most.
	timesPeer, partOfPeer float64
}

// scale is how large the rows are.
type scale struct {
	backlog, some, few int
	nodes, volumes     [3]int
	bare               int
	// aftermath is how long the programs have after a sample, settle and watch are the times
	// of the row in which nothing is to be done.
	aftermath, settle, watch time.Duration
}

func fullScale() scale {
	return scale{
		backlog: 3000, some: 1000, few: 300, nodes: [3]int{100, 5000, 15_000}, volumes: [3]int{1000, 20_000, 100_000},
		bare: 2000, aftermath: 1500 * time.Millisecond, settle: 10 * time.Second, watch: 20 * time.Second,
	}
}

// quickScale is one at which nothing is measured but whether all works.
func quickScale() scale {
	return scale{
		backlog: 30, some: 20, few: 10, nodes: [3]int{5, 10, 20}, volumes: [3]int{10, 20, 40},
		bare: 20, aftermath: 100 * time.Millisecond, settle: 2 * time.Second, watch: time.Second,
	}
}

// worked are the measures of rows in which something is done many times.
func worked() []measure {
	return []measure{rate, bareRate, ratio, firstDone, allDone, cpuEach, cpuServer, peak, writes, reads, eventsOf, records}
}

func nothing(context.Context, *scene, int) error { return nil }

// rows returns all rows.
func rows(s scale) []row {
	return slices.Concat(backlogs(s), surrounded(s), further(s))
}

func (s scale) creates(ctx context.Context, sc *scene) (float64, error) {
	return sc.bareCreates(ctx, s.bare)
}

// backlogs returns the rows in which there is nothing but claims without volumes.
func backlogs(s scale) []row {
	backlog := []goal{
		{of: ratio, atLeast: 0.85}, {of: rate, timesPeer: 1.3}, {of: cpuEach, atMost: 0.8}, {of: peak, atMost: 80}, {of: firstDone, atMost: 0.7},
		{of: writes, atMost: 1}, {of: reads, atMost: 0.01}, {of: eventsOf, atMost: 1}, {of: records, atMost: 0.02},
	}
	return []row{
		{
			name: "backlog", title: "A backlog of claims", duty: provisions, prepare: nothing, yardstick: s.creates, shows: worked(),
			text:  "A program starts and finds claims without volumes.",
			steps: []step{{size: s.backlog, title: "claims", play: provision(s.backlog), goals: backlog}},
		},
		{
			name: "elected", title: "A backlog of claims, with leader election", duty: provisions, prepare: nothing, yardstick: s.creates, shows: worked(),
			text:  "The same with --leader-election.",
			flags: []string{"--leader-election"},
			steps: []step{{size: s.backlog, title: "claims", play: provision(s.backlog), goals: backlog}},
		},
	}
}

// surrounded returns the rows in which claims are one part of a large cluster.
func surrounded(s scale) []row {
	return []row{
		{
			name: "nodes", title: "Claims on many nodes", duty: provisions, yardstick: s.creates, shows: worked(),
			text:    "Each node is a topology segment of its own, and each request to the driver names them all.",
			prepare: func(ctx context.Context, sc *scene, size int) error { return sc.addNodes(ctx, size) },
			steps: []step{
				{size: s.nodes[0], title: "nodes", play: provision(s.some)},
				{size: s.nodes[1], title: "nodes", play: provision(s.some), goals: []goal{{of: rate, timesPeer: 3}, {of: peak, atMost: 200}}},
				{size: s.nodes[2], title: "nodes", play: provision(s.few)},
			},
		},
		{
			name: "volumes", title: "Claims beside many volumes", duty: provisions, yardstick: s.creates, shows: worked(),
			text:    "A program starts and finds volumes with their claims, and claims without volumes.",
			prepare: func(ctx context.Context, sc *scene, size int) error { return sc.addVolumes(ctx, size) },
			steps: []step{
				{size: s.volumes[0], title: "volumes", play: provision(s.some)},
				{size: s.volumes[1], title: "volumes", play: provision(s.some), goals: []goal{{of: firstDone, partOfPeer: 0.5}}},
				{size: s.volumes[2], title: "volumes", play: provision(s.some)},
			},
		},
	}
}

// further returns all other rows.
func further(s scale) []row {
	return []row{
		{
			name: "idle", title: "Nothing to do", duty: both, shows: []measure{resident, peak, cpuAtRest, renewals, others},
			text:  "A leader beside many volumes and nodes, for which there is nothing to do.",
			flags: []string{"--leader-election"},
			prepare: func(ctx context.Context, sc *scene, size int) error {
				if err := sc.addNodes(ctx, s.nodes[1]); err != nil {
					return err
				}
				return sc.addVolumes(ctx, size)
			},
			steps: []step{{
				size: s.volumes[1], title: "volumes", play: rest(s.settle, s.watch),
				goals: []goal{{of: resident, atMost: 150}, {of: cpuAtRest, atMost: 0.2}, {of: others, atMost: 0}},
			}},
		},
		{
			name: "expand", title: "Claims to expand", duty: expands, shows: worked(),
			text:      "A program starts and finds claims that ask for more than their volumes have.",
			prepare:   func(ctx context.Context, sc *scene, size int) error { return sc.addBoundVolumes(ctx, size) },
			yardstick: func(ctx context.Context, sc *scene) (float64, error) { return sc.barePatches(ctx, s.some) },
			steps:     []step{{size: s.some, title: "claims", play: expand(s.some), goals: []goal{{of: rate, timesPeer: 2.5}, {of: writes, atMost: 3}}}},
		},
		{
			name: "delete", title: "Volumes to delete", duty: provisions, prepare: nothing, shows: worked(),
			text:      "A program starts and finds released volumes that are to be deleted. The bare rate is that of pairs of requests: one to delete, one to remove the finalizer.",
			yardstick: func(ctx context.Context, sc *scene) (float64, error) { return sc.bareDeletes(ctx, s.some) },
			steps:     []step{{size: s.some, title: "volumes", play: remove(s.some), goals: []goal{{of: rate, timesPeer: 1.3}}}},
		},
		{
			name: "size", title: "The programs", duty: both, shows: []measure{size},
			text:  "What there is to download and to load.",
			steps: []step{{title: "", play: weigh, goals: []goal{{of: size, atMost: 45}}}},
		},
	}
}
