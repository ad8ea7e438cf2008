-- wrk sends the pushes of the file BODIES in turn, to the path PREFIX/api/v1/send_push, with the headers of a Mattermost
-- server. Each goes out under an ack_id that was never used before, so that nobody can answer from memory. As a server's
-- are, these are 26 letters that come in no order: RUN is 14 of them. Without RUN they go out as they are, once.
-- The last line that it prints is the window in JSON; times in microseconds.
local before, after, line, sent, run = {}, {}, 0, 0, ""
local letters = "ybndrfg8ejkmcpqxot1uwisza345h769"
local heads, chunks = {}, {}

local function letter(number)
  return letters:sub(number % 32 + 1, number % 32 + 1)
end

function init(args)
  local headers = { ["User-Agent"] = "Mattermost-Bot/1.1", ["Accept-Encoding"] = "gzip" }
  local path = os.getenv("PREFIX") .. "/api/v1/send_push"
  for body in io.lines(os.getenv("BODIES")) do
    local request = wrk.format("POST", path, headers, body)
    local _, id = request:find('"ack_id":"', 1, true)
    before[#before + 1] = request:sub(1, id)
    after[#after + 1] = request:sub(os.getenv("RUN") == "" and id + 1 or id + 27)
  end
  run = os.getenv("RUN")
  for number = 0, 32767 do
    chunks[number] = letter(math.floor(number / 1024)) .. letter(math.floor(number / 32)) .. letter(number)
  end
  for number = 0, 4095 do
    heads[number] = chunks[math.random(0, 32767)] .. letter(math.random(0, 31)) .. letter(math.random(0, 31))
  end
end

function request()
  line = line % #before + 1
  sent = sent + 1
  if run == "" then
    return before[line] .. after[line]
  end
  local count = chunks[math.floor(sent / 32768)] .. chunks[sent % 32768]
  return before[line] .. heads[sent % 4096] .. run .. count .. "y" .. after[line]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"seconds":%.6f,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
