package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
)

// count is the value of a flag that is a number from 1: with none of them a test would do
// nothing, and pass.
type count struct{ value *int }

func countFlag(set *pflag.FlagSet, value *int, name string, byDefault int, usage string) {
	*value = byDefault
	set.Var(count{value}, name, usage)
}

func (c count) String() string {
	if c.value == nil { // pflag asks a zero count, to tell whether a default is worth showing
		return "0"
	}
	return strconv.Itoa(*c.value)
}

func (c count) Set(text string) error {
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		return fmt.Errorf("%q is not a number from 1", text)
	}
	*c.value = number
	return nil
}

func (count) Type() string { return "int" }
