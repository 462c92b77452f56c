package spec

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

var bodySeeds = []string{
	"", " ", "null", "{", "{}", "[]", "0", "1e999", "-0", `"\ud83d"`, `"\ud83d\ude00"`, "\"\xff\"", `{"a":1,"a":2}`,
	`{"a":{"b":1,"b":2}}`, `{} {}`, `{}x`, "\ufeff{}", `"\u0000"`, strings.Repeat("[", 33) + strings.Repeat("]", 33),
	strings.Repeat("[", 32) + strings.Repeat("]", 32), `{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}`, `"\"[`, `{"a":NaN}`,
	`{"from":"a@b.test","to":"Sam <c@d.test>, \"x;y\" <e@f.test>","subject":"s","text":"t","variables":{"a":[1,{"b":null}]}}`,
	`{"from":"a@bücher.test","to":"c@d.test","subject":"s","html":"h","tags":"a, b","templateId":"0197b2c4-8d43-7f7c-a051-4c3d2e1f0a91"}`,
	`{"from":"a@b.test","to":"c@d.test","subject":"s","text":"t","fromName":null,"cc":"","bcc":null,"replyTo":"x@y.test"}`,
}

// FuzzDecode compares the decoder with the standard library's, which has fewer rules.
func FuzzDecode(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, err := Decode(raw)
		var expected any
		lenient := json.Unmarshal(raw, &expected)
		if err == nil {
			if lenient != nil || !reflect.DeepEqual(value, expected) {
				t.Fatalf("%q became %#v, elsewhere %#v, %v", raw, value, expected, lenient)
			}
			return
		}
		var refused *problem.Problem
		if !errors.As(err, &refused) || refused.Code != api.ProblemCodeMalformedJSON || refused.Detail == "" {
			t.Fatalf("%q: %v is no problem of the text", raw, err)
		}
		if !json.Valid(raw) {
			return
		}
		for _, rule := range []string{"deeper than 32", "member twice", "not valid UTF-8", "lone surrogate", "out of range", "members and items"} {
			if strings.Contains(refused.Detail, rule) {
				return
			}
		}
		t.Fatalf("%q is JSON and breaks none of our rules: %v", raw, err)
	})
}
