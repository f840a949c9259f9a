// An independent load client, to hold the one in TypeScript against: closed loop, keep-alive,
// TCP_NODELAY, nothing shared with it but the bodies it sends (a file, one a line, each sent once).
// Prints one JSON object.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type sample struct{ ttft, total float64 }

// one posts a request and reads its events; tokens are the events that carry text.
func one(client *http.Client, url, body string) (sample, int, error) {
	started := time.Now()
	answer, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return sample{}, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		text, _ := io.ReadAll(answer.Body)
		return sample{}, 0, fmt.Errorf("HTTP %d: %s", answer.StatusCode, text)
	}
	first, tokens := 0.0, 0
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, "data:") && strings.Contains(line, `"content":"`) &&
			!strings.Contains(line, `"content":""`) {
			tokens++
			if first == 0 {
				first = float64(time.Since(started).Microseconds()) / 1000
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return sample{}, 0, err
		}
	}
	return sample{first, float64(time.Since(started).Microseconds()) / 1000}, tokens, nil
}

func main() {
	url := flag.String("url", "", "server")
	file := flag.String("bodies", "", "a file of bodies, one a line")
	concurrency := flag.Int("concurrency", 1, "requests at a time")
	duration := flag.Duration("duration", 5*time.Second, "how long, unless the bodies end before")
	flag.Parse()
	list, err := os.ReadFile(*file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	bodies := strings.Split(strings.TrimSpace(string(list)), "\n")
	// Go sets TCP_NODELAY on every connection by itself.
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: *concurrency, DisableCompression: true,
	}}
	var mutex sync.Mutex
	var samples []sample
	var tokens, failed, next atomic.Int64
	var all sync.WaitGroup
	started := time.Now()
	for i := 0; i < *concurrency; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for time.Since(started) < *duration {
				at := int(next.Add(1)) - 1
				if at >= len(bodies) {
					return
				}
				taken, count, err := one(client, *url, bodies[at])
				if err != nil {
					failed.Add(1)
					fmt.Fprintln(os.Stderr, err)
					continue
				}
				tokens.Add(int64(count))
				mutex.Lock()
				samples = append(samples, taken)
				mutex.Unlock()
			}
		}()
	}
	all.Wait()
	wall := time.Since(started).Seconds()
	at := func(q float64, of func(sample) float64) float64 {
		values := make([]float64, len(samples))
		for i, taken := range samples {
			values[i] = of(taken)
		}
		sort.Float64s(values)
		if len(values) == 0 {
			return -1
		}
		return values[min(len(values)-1, int(q*float64(len(values))))]
	}
	ttft := func(s sample) float64 { return s.ttft }
	total := func(s sample) float64 { return s.total }
	json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"requests": float64(len(samples)), "errors": float64(failed.Load()),
		"req_per_s": float64(len(samples)) / wall, "tokens_per_s": float64(tokens.Load()) / wall,
		"ttft_p50_ms": at(0.5, ttft), "ttft_p99_ms": at(0.99, ttft), "e2e_p50_ms": at(0.5, total),
		"e2e_p99_ms": at(0.99, total),
	})
}
