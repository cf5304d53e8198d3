package protocol

import "math/rand/v2"

// Walk goes a long way at random: as many moves as it is told, or until nothing is left
// that could go wrong, and then by what is due alone, until nothing is. It stops at the
// first fault. States counts the moves.
func Walk(m Model, seed uint64, moves int) Result {
	random := rand.New(rand.NewPCG(seed, 0))
	at := m.Initial()
	var trace []Move
	for n := 0; ; n++ {
		if fault := at.check(); fault != Fine {
			return Result{Fault: fault, Trace: trace, States: n}
		}
		next := m.Moves(at)
		if n >= moves {
			next = due(next)
		}
		switch {
		case len(next) == 0 && n >= moves:
			return Result{Fault: at.checkRest(), Trace: trace, States: n, Resting: 1}
		case n >= 10*moves:
			return Result{Fault: Restless, Trace: trace, States: n}
		case len(next) > 0:
			move := pick(random, next)
			trace, at = append(trace, move), move.To
		}
	}
}

// pick chooses a move. What is due happens more often than what is not: a claim that is
// deleted at once, and a process that always dies, would make for short ways.
func pick(random *rand.Rand, all []Move) Move {
	if list := due(all); len(list) > 0 && random.IntN(10) > 0 {
		all = list
	}
	return all[random.IntN(len(all))]
}

func due(all []Move) []Move {
	var list []Move
	for _, move := range all {
		if move.Due {
			list = append(list, move)
		}
	}
	return list
}
