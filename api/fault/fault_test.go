package fault

import (
	"strings"
	"testing"
)

func TestQuoteIsShort(t *testing.T) {
	for text, want := range map[string]string{
		"":                             `""`,
		"a\x00\"b":                     `"a\x00\"b"`,
		strings.Repeat("x", 100):       `"` + strings.Repeat("x", 100) + `"`,
		strings.Repeat("x", 99) + "üü": `"` + strings.Repeat("x", 99) + `"… (103 bytes)`,
		strings.Repeat("\x00", 1<<20):  `"` + strings.Repeat(`\x00`, 100) + `"… (1048576 bytes)`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("%.20q… is quoted as %s, want %s", text, got, want)
		}
	}
}
