package snssim

import (
	"encoding/xml"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxQueryBytes = 1 << 20

// element is a node of a response.
type element struct {
	XMLName   xml.Name
	Namespace string    `xml:"xmlns,attr,omitempty"` // of this element and those in it
	Text      string    `xml:",chardata"`
	Children  []element `xml:",any"`
}

func leaf(name, text string) element { return element{XMLName: xml.Name{Local: name}, Text: text} }

func node(name string, children ...element) element {
	return element{XMLName: xml.Name{Local: name}, Children: children}
}

// entries encodes a map in the protocol's form.
func entries(name string, values map[string]string) element {
	list := node(name)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list.Children = append(list.Children, node("entry", leaf("key", key), leaf("value", values[key])))
	}
	return list
}

// call is a call of the query protocol.
type call struct {
	form url.Values
	base string // the simulator's URL, as the caller addressed it
}

// entries decodes a map: <name>.entry.1.key and so on.
func (c call) entries(name string) map[string]string {
	values := map[string]string{}
	for field, key := range c.form {
		prefix, found := strings.CutSuffix(field, ".key")
		if found && strings.HasPrefix(prefix, name+".entry.") && len(key) == 1 {
			values[key[0]] = c.form.Get(prefix + ".value")
		}
	}
	return values
}

// namespaces are the namespaces of the responses, which the models of the services name.
func namespaces() map[string]string {
	return map[string]string{
		"sns": "http://sns.amazonaws.com/doc/2010-03-31/", "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
	}
}

// queries returns the operations. One that returns nil answers without a result.
func (s *Simulator) queries() map[string]func(call) ([]element, error) {
	return map[string]func(call) ([]element, error){
		"sns:CreateTopic":               s.createTopic,
		"sns:GetTopicAttributes":        s.getTopicAttributes,
		"sns:SetTopicAttributes":        s.setTopicAttributes,
		"sns:GetSubscriptionAttributes": s.getSubscriptionAttributes,
		"sns:SetSubscriptionAttributes": s.setSubscriptionAttributes,
		"sns:Subscribe":                 s.subscribe,
		"sns:ListSubscriptionsByTopic":  s.listSubscriptions,
		"sts:GetCallerIdentity": func(call) ([]element, error) {
			return []element{
				leaf("Arn", "arn:aws:iam::"+Account+":user/simulated"), leaf("UserId", "AIDA0000000000000000"), leaf("Account", Account),
			}, nil
		},
	}
}

// serveQuery serves a call of SNS or STS, which the API's version distinguishes.
// https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
func (s *Simulator) serveQuery(w http.ResponseWriter, r *http.Request) {
	service := "sns"
	r.Body = http.MaxBytesReader(w, r.Body, maxQueryBytes)
	if err := r.ParseForm(); err != nil {
		s.failQuery(w, service, &Refusal{http.StatusNotFound, "MalformedQueryString", "The query cannot be read."})
		return
	}
	action := r.PostForm.Get("Action")
	if r.PostForm.Get("Version") == "2011-06-15" {
		service = "sts"
	}
	name := service + ":" + action
	if err := s.before(r, name); err != nil {
		s.failQuery(w, service, err)
		return
	}
	do, ok := s.queries()[name]
	if !ok {
		s.failQuery(w, service, &Refusal{http.StatusBadRequest, "InvalidAction", "The action " + action + " is not simulated."})
		return
	}
	result, err := do(call{form: r.PostForm, base: "http://" + r.Host})
	if err != nil {
		s.failQuery(w, service, err)
		return
	}
	answer := node(action + "Response")
	if result != nil {
		answer.Children = append(answer.Children, node(action+"Result", result...))
	}
	answer.Children = append(answer.Children, node("ResponseMetadata", leaf("RequestId", newID())))
	s.writeXML(w, http.StatusOK, service, answer)
}

func (s *Simulator) failQuery(w http.ResponseWriter, service string, err error) {
	refusal := s.refusal(err)
	fault := "Sender"
	if refusal.Status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	s.writeXML(w, refusal.Status, service, node("ErrorResponse",
		node("Error", leaf("Type", fault), leaf("Code", refusal.Code), leaf("Message", refusal.Message)),
		leaf("RequestId", newID())))
}

// refusal returns the error response for err.
func (s *Simulator) refusal(err error) *Refusal {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		s.config.Log.Error("simulator failed", slog.Any("error", err))
		refusal = &Refusal{http.StatusInternalServerError, "InternalFailure", "Internal failure."}
	}
	return refusal
}

func (s *Simulator) writeXML(w http.ResponseWriter, status int, service string, answer element) {
	answer.Namespace = namespaces()[service]
	data, err := xml.Marshal(answer)
	if err != nil {
		s.config.Log.Error("encode a response", slog.Any("error", err))
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		s.config.Log.Debug("write a response", slog.Any("error", err))
	}
}
