"""Programs that measure imgforge and its peers, and the modules that they share.

Programs; each has `--help` and runs as `python bench/NAME.py`:

    cold.py      images per second when no cache helps
    small.py     the same for small images
    svg.py       SVG with a text, a pattern or a blur, and different badges per second
    stores.py    the same with originals from an S3 server, beside imgproxy
    public.py    the works of the public image-servers-benchmark, beside imgproxy, thumbor and published rates
    instructions.py  instructions per hit and per small image, beside the expected ones (instructions.toml)
    http2.py     originals over HTTP/1.1 and HTTP/2 from one server: fetches per second, CPU per fetch
    faults.py    images that succeed, and requests that it takes, while a store fails now and then
    hits.py      cached images per second and per server CPU second
    trace.py     traffic of popular and rare images from an empty cache on, with its memory
    tracing.py   what traces over OpenTelemetry cost a hit and a small image
    overload.py  latency, refusals and health when more requests arrive than the server can answer
    soak.py      minutes of good and hostile traffic: wrong answers, and what grows
    start.py     time from the command to a listening socket, a first answer and a first image
    entries.py   start, look-ups and memory of a full disk cache
    compare.py   differences between our answers and a peer's: status, type, size, pixels, weight
    chart.py     one SVG of the JSON reports of hits.py, cold.py and overload.py

Parts:

    servers.py              starts servers and origins; parses `--server NAME=URL[,PID]`
    peers.py                starts imgproxy and thumbor
    nginx_cache.py          starts nginx with proxy_cache before another server (nginx_cache.conf)
    nginx_files.py          starts nginx as an origin of files (nginx_files.conf)
    slow_origin.py          an origin with a given latency, a process that trace.py and soak.py start
    hostile_origin.py       an origin that serves decompression bombs and broken HTTP
    http2_origin.py         starts nginx as an origin with TLS and HTTP/2 (http2_origin.conf)
    object_store.py         starts an S3 server with a bucket of files: versitygw, else moto
    fault_injection.py      a proxy before a store that harms a share of its answers
    load.py                 closed-loop load: each connection sends its next request after an answer (wrk_report.lua)
    open_loop_load.py       open-loop load: requests arrive at a fixed rate, whatever the server answers
    zipf_traffic.py         request mixes with originals by Zipf's law
    workloads.py            the workloads of cold.py and small.py; paths of image URLs
    svg_documents.py        the documents of svg.py
    cold_program.py         the program that cold.py and small.py are
    cold_rounds.py          rounds of workloads whose requests no cache can answer, and their tables
    pictures.py             draws every picture that is sent through a server
    public_works.py         the works of public.py, in each server's URL syntax, and the published rates
    public_pictures.py      the pictures of public.py, drawn where they are missing
    callgrind.py            runs a process under valgrind's callgrind; instructions by library
    instruction_works.py    what instructions.py counts; starts the server and engine_rounds.py
    instruction_counts.py   the file of expected counts, what they depend on, and their comparison
    engine_rounds.py        the engine without a server, a process that instructions.py starts
    alternating_rounds.py   measures contenders in alternating rounds; medians and ratios
    libvips_baseline.py     libvips without a server: the upper bound of a server's throughput
    process_usage.py        CPU, memory (PSS), descriptors and threads of process trees, from /proc
    soak_clients.py         what good and hostile clients of soak.py do, one function an action
    soak_run.py             runs these clients, kills workers, samples the server's resources
    comparison_grid.py      the image URLs of compare.py (grid.toml)
    image_comparison.py     compares two answers and their pixels
    output.py               Markdown tables, JSON reports, common command-line arguments
    svg_plot.py             curves as SVG
"""
