-- wrk sends the one request of the file REQUEST; where @@ACK@@ stands in it, each gets an id of its own.
-- The last line that it prints is JSON.
local before, after, sent, run = "", nil, 0, ""

function init(args)
  local file = io.open(os.getenv("REQUEST"), "rb")
  local text = file:read("*a")
  file:close()
  local from, to = text:find("@@ACK@@", 1, true)
  before = from and text:sub(1, from - 1) or text
  after = from and text:sub(to + 1)
  run = os.getenv("RUN")
end

function request()
  if not after then return before end
  sent = sent + 1
  return before .. run .. string.format("%012d", sent) .. after
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"not 200":%d,"broken":%d,"timeout":%d}\n', summary.requests, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout))
end
