package jetstream

import (
	"errors"
	"net/url"
	"strings"
)

// ParseURL reads where a Store is: nats:// or tls://, then HOST:PORT of each server with
// commas between, then perhaps ?creds=FILE, ?stream=NAME and ?replicas=N with & between.
// The rest of the Config is left to the caller.
func ParseURL(text string) (cfg Config, err error) {
	bad := func(what string) (Config, error) { // the text may have a password in it
		return Config{}, errors.New("jetstream: where the servers are: " + what)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "nats" && scheme != "tls" {
		return bad("it is not nats://HOST:PORT,HOST:PORT or tls://")
	}
	hosts, query, _ := strings.Cut(rest, "?")
	var urls []string
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return bad("a server without a name")
		}
		urls = append(urls, scheme+"://"+host)
	}
	cfg.Servers = strings.Join(urls, ",")
	values, err := url.ParseQuery(query)
	if err != nil {
		return bad(err.Error())
	}
	for k, v := range values {
		switch {
		case k == "creds" && len(v) == 1:
			cfg.Creds = v[0]
		case k == "stream" && len(v) == 1 && v[0] != "" && !strings.ContainsAny(v[0], ".*> \t\r\n/\\"):
			cfg.Stream = v[0]
		case k == "replicas" && len(v) == 1 && (v[0] == "1" || v[0] == "3" || v[0] == "5"):
			cfg.Replicas = int(v[0][0] - '0')
		default:
			return bad("creds, stream and replicas (1, 3 or 5) can be given, once each; not " + k)
		}
	}
	return cfg, nil
}
