-- wrk sends the pushes of the file BODIES in turn, to the path PREFIX/api/v1/send_push, with the headers of a Mattermost
-- server. Each goes out under an ack_id that was never used before, so that nobody can answer from memory.
-- The last line that it prints is the window in JSON; times in microseconds.
local before, after, line, sent, run = {}, {}, 0, 0, ""

function init(args)
  local headers = { ["User-Agent"] = "Mattermost-Bot/1.1", ["Accept-Encoding"] = "gzip" }
  local path = os.getenv("PREFIX") .. "/api/v1/send_push"
  for body in io.lines(os.getenv("BODIES")) do
    local request = wrk.format("POST", path, headers, body)
    local _, id = request:find('"ack_id":"', 1, true)
    before[#before + 1] = request:sub(1, id)
    after[#after + 1] = request:sub(id + 27)
  end
  run = os.getenv("RUN")
end

function request()
  line = line % #before + 1
  sent = sent + 1
  return before[line] .. run .. string.format("%012d", sent) .. after[line]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"seconds":%.6f,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
