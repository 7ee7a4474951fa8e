package flow

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestPartsAreAnObject(t *testing.T) {
	for _, tt := range []struct {
		reason Reason
		text   string
	}{
		{Reason{Cluster: "a", Message: "fits", Parts: Parts{{"free", 0.5}, {"peak", 0}}}, `{"cluster":"a","message":"fits","parts":{"free":0.5,"peak":0}}`},
		{Reason{Cluster: "a", Message: "tainted"}, `{"cluster":"a","message":"tainted"}`},
	} {
		text, err := json.Marshal(tt.reason)
		if err != nil || string(text) != tt.text {
			t.Errorf("%s (%v), want %s", text, err, tt.text)
		}
		var back Reason
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, tt.reason) {
			t.Errorf("%+v (%v), want %+v", back, err, tt.reason)
		}
	}
	var p Parts
	if err := json.Unmarshal([]byte(`{"b":2,"a":1}`), &p); err != nil || !reflect.DeepEqual(p, Parts{{"a", 1}, {"b", 2}}) {
		t.Errorf("%v (%v), want them in order", p, err)
	}
}
