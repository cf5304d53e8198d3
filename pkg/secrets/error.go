package secrets

import (
	"strconv"
	"unicode/utf8"
)

// Error says what is wrong with a parameter of a StorageClass. It never holds
// the content of a Secret.
//
// The fields hold what users wrote, at any length; the message quotes them, cut
// short, and stays below 1 KiB.
type Error struct {
	// Parameter is the key in the class that must be looked at.
	Parameter string
	// Template is the value of the parameter; empty when the value does not matter.
	Template string
	// Token is the part of Template that is at fault; empty when it is not a token.
	Token string
	// Resolved is what Template stands for, at most 254 bytes of it; empty when it
	// did not come to that.
	Resolved string
	// Reason says what is wrong.
	Reason string
	// Fix says what is allowed, or what to do about it.
	Fix string
}

func (e *Error) Error() string {
	message := "StorageClass parameter " + quote(e.Parameter)
	if e.Template != "" {
		message += ": template " + quote(e.Template)
	}
	return message + ": " + e.Reason + ": " + e.Fix
}

// quote makes a value from outside fit to be printed: quoted, and cut where that
// gets longer than 128 bytes.
func quote(s string) string {
	const limit = 128
	printed := 0
	for end := 0; end < len(s); {
		_, size := utf8.DecodeRuneInString(s[end:])
		printed += len(strconv.Quote(s[end:end+size])) - len(`""`)
		if printed > limit {
			return strconv.Quote(s[:end]) + "…"
		}
		end += size
	}
	return strconv.Quote(s)
}
