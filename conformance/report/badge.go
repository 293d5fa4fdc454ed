package report

import (
	"bytes"
	_ "embed" // for badge.svg
	"fmt"
	"html/template"
	"strings"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

//go:embed badge.svg
var badgeText string

var badgeTemplate = template.Must(template.New("badge").Parse(badgeText))

const (
	badgeGlyph   = 6.4 // mean width of a character at 11 pixels
	badgeMargin  = 7.0
	badgeMaxText = 60
)

// Badge is the verdict as a small picture for a README.
func Badge(r *verdict.Result) ([]byte, error) {
	left, right := "stagedoor "+subject(r), strings.ToLower(headline(r))
	if r.Exit == verdict.ExitConformant && len(r.Claimed) > 0 {
		right += " · " + strings.Join(r.Claimed, " ")
	}
	right = clip(visible(right), badgeMaxText)
	leftWidth, rightWidth := badgeWidth(left), badgeWidth(right)
	var b bytes.Buffer
	err := badgeTemplate.Execute(&b, map[string]any{
		"Left": left, "Right": right, "Verdict": visible(r.Verdict),
		"Width": leftWidth + rightWidth, "LeftWidth": leftWidth, "RightWidth": rightWidth,
		"LeftText": leftWidth - 2*badgeMargin, "RightText": rightWidth - 2*badgeMargin,
		"LeftAt": badgeMargin, "RightAt": leftWidth + badgeMargin,
		"Colour": map[string]string{"good": "#1a7f37", "mixed": "#9a6700", "bad": "#cf222e"}[tone(r)],
	})
	if err != nil {
		return nil, fmt.Errorf("draw the badge: %w", err)
	}
	return b.Bytes(), nil
}

func badgeWidth(text string) float64 {
	return 2*badgeMargin + badgeGlyph*float64(utf8.RuneCountInString(text))
}
