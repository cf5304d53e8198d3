package faults

import (
	"math/rand/v2"
	"time"
)

// Dice are the source of all chance.
type Dice struct{ *rand.Rand }

// NewDice returns the dice of a seed; those of another stream are independent.
func NewDice(seed, stream uint64) Dice { return Dice{rand.New(rand.NewPCG(seed, stream))} }

// Chance reports whether something happens that does so in so many cases of 100.
func (d Dice) Chance(percent int) bool { return d.IntN(100) < percent }

// Moment returns a time from 0 up to before.
func (d Dice) Moment(before time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(before)))
}

// Between returns a time from least up to most.
func (d Dice) Between(least, most time.Duration) time.Duration { return least + d.Moment(most-least) }

// Pick returns one of several.
func Pick[T any](d Dice, from ...T) T { return from[d.IntN(len(from))] }
