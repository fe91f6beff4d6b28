-- What wrk does for each request. The plan, a Lua table in a file, comes as the only argument:
-- method, paths, headers, bodies (names of files), seed. Paths and bodies are taken in turn; @ID@ in
-- a body becomes a fresh UUID each time it is sent.

local plan, bodies, turn = nil, {}, 0

local function cut(text)
  local pieces = {}
  for piece in (text .. "@ID@"):gmatch("(.-)@ID@") do
    pieces[#pieces + 1] = piece
  end
  return pieces
end

local function fresh_id()
  local r = math.random
  return string.format("%08x-%04x-4%03x-%04x-%06x%06x", r(0, 4294967295), r(0, 65535),
    r(0, 4095), r(32768, 49151), r(0, 16777215), r(0, 16777215))
end

local function filled(pieces)
  local out = {}
  for i, piece in ipairs(pieces) do
    out[#out + 1] = piece
    if i < #pieces then
      out[#out + 1] = fresh_id()
    end
  end
  return table.concat(out)
end

function init(arguments)
  plan = dofile(arguments[1])
  math.randomseed(plan.seed)
  wrk.method = plan.method
  for name, value in pairs(plan.headers) do
    wrk.headers[name] = value
  end
  for _, name in ipairs(plan.bodies) do
    local file = io.open(name, "rb")
    bodies[#bodies + 1] = cut(file:read("*a"))
    file:close()
  end
end

function request()
  turn = turn + 1
  local body = #bodies > 0 and filled(bodies[turn % #bodies + 1]) or nil
  return wrk.format(nil, plan.paths[turn % #plan.paths + 1], nil, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"requests": %d, "seconds": %f, "p50": %f, "p90": %f, '
    .. '"p99": %f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
