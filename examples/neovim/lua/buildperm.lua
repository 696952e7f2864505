-- A small client of `buildperm pending` and `buildperm decide`: what is left to decide stands as
-- diagnostics beside the lines that ask for it and in the quickfix list, and is answered from there.
--
-- Titles and source lines repeat what a crate has chosen. They are only ever shown as text: nothing
-- of them becomes part of a command, and commands are lists of words, which no shell reads.

local M = {
  command = { "buildperm" }, -- How buildperm is called.
  folder = nil, -- Of the workspace; nil for the current one.
  questions = {}, -- As `pending` lists them.
  token = nil, -- Of that list.
  manifest = nil, -- The Cargo.toml that holds the grants.
  is_busy = false, -- Whether a command runs.
}

local namespace = vim.api.nvim_create_namespace("buildperm")
local severities = {
  low = vim.diagnostic.severity.HINT,
  medium = vim.diagnostic.severity.INFO,
  high = vim.diagnostic.severity.WARN,
  critical = vim.diagnostic.severity.ERROR,
}
local STALE = 24

local function tell(text, level)
  vim.notify("buildperm: " .. text, level or vim.log.levels.INFO)
end

-- Run a command of buildperm; `done` gets its exit code, standard output and standard error.
local function run(words, done)
  local said, complained = {}, {}
  local command = vim.list_extend(vim.deepcopy(M.command), words)
  M.is_busy = true
  local job = vim.fn.jobstart(command, {
    cwd = M.folder,
    stdin = "null",
    stdout_buffered = true,
    stderr_buffered = true,
    on_stdout = function(_, lines)
      said = lines
    end,
    on_stderr = function(_, lines)
      complained = lines
    end,
    on_exit = function(_, status)
      M.is_busy = false
      done(status, table.concat(said, "\n"), vim.trim(table.concat(complained, "\n")))
    end,
  })
  if job <= 0 then
    M.is_busy = false
    tell("cannot run `" .. M.command[1] .. "`", vim.log.levels.ERROR)
  end
end

-- Where a question stands: the line of the sources that seems to ask, else that of Cargo.toml.
local function place(question, manifest)
  local line = question.source_lines[1]
  if line then
    return line.path, line.line
  end
  return manifest, question.manifest_line
end

local function show(document)
  M.questions, M.token, M.manifest = document.proposals, document.token, document.manifest
  local items, by_buffer = {}, {}
  for _, question in ipairs(M.questions) do
    local path, line = place(question, document.manifest)
    local text = string.format("%s %s wants to %s", question.crate, question.version, question.title)
    table.insert(items, { filename = path, lnum = line, text = text .. " (" .. question.risk .. ")" })
    local buffer = vim.fn.bufadd(path)
    by_buffer[buffer] = by_buffer[buffer] or {}
    table.insert(by_buffer[buffer], {
      lnum = line - 1,
      col = 0,
      severity = severities[question.risk],
      source = "buildperm",
      message = text,
    })
  end
  vim.diagnostic.reset(namespace)
  for buffer, found in pairs(by_buffer) do
    vim.fn.bufload(buffer)
    vim.diagnostic.set(namespace, buffer, found)
  end
  vim.fn.setqflist({}, " ", { title = "buildperm", items = items })
end

-- List what is left to decide.
function M.refresh()
  run({ "pending", "--format", "json" }, function(status, said, complained)
    if status ~= 0 then
      return tell(complained, vim.log.levels.ERROR)
    end
    show(vim.json.decode(said))
    tell(#M.questions == 0 and "nothing is left to decide" or #M.questions .. " left to decide")
  end)
end

-- Return the questions in the line of the cursor.
local function here()
  local name = vim.fn.resolve(vim.api.nvim_buf_get_name(0))
  local line = vim.api.nvim_win_get_cursor(0)[1]
  return vim.tbl_filter(function(question)
    local path, number = place(question, M.manifest)
    return number == line and vim.fn.resolve(path) == name
  end, M.questions)
end

local function answer(question, wanted, rung)
  rung = rung or question.suggested
  local chosen = question.rungs[rung + 1]
  if not chosen then
    return tell("there is no rung " .. rung, vim.log.levels.WARN)
  end
  local words = { "decide", question.id, wanted, "--rung", tostring(rung), "--token", M.token }
  if wanted == "allow" and chosen.refused_to_all ~= "" then
    return tell(chosen.refused_to_all, vim.log.levels.WARN)
  end
  if wanted == "allow" and chosen.refused_to_robots ~= "" then
    -- Only a person may do that: in a terminal, where buildperm shows all of it and asks.
    vim.cmd("botright new")
    vim.fn.termopen(vim.list_extend(vim.deepcopy(M.command), words), {
      cwd = M.folder,
      on_exit = function(_, status)
        if status == 0 then
          vim.cmd("checktime")
          M.refresh()
        end
      end,
    })
    return
  end
  vim.list_extend(words, { "--robot", "--format", "json" })
  run(words, function(status, said, complained)
    if said ~= "" then
      for _, failure in ipairs(vim.json.decode(said).failures or {}) do -- An error has none.
        tell(failure.crate .. " " .. failure.sentence, vim.log.levels.WARN)
      end
    end
    if complained ~= "" and status ~= 0 then
      tell(complained, vim.log.levels.WARN)
    end
    if status == 0 or status == STALE then
      vim.cmd("checktime") -- Cargo.toml has changed on the disk.
      M.refresh()
    end
  end)
end

-- Answer the question in the line of the cursor: `allow`, `deny` or `later`, by one of its rungs, or by the
-- suggested one.
function M.decide(wanted, rung)
  local found = here()
  if #found == 0 then
    return tell("no question in this line; :BuildpermPending lists them", vim.log.levels.WARN)
  end
  if #found == 1 then
    return answer(found[1], wanted, rung)
  end
  vim.ui.select(found, {
    prompt = wanted .. " which?",
    format_item = function(question)
      return question.title
    end,
  }, function(question)
    if question then
      answer(question, wanted, rung)
    end
  end)
end

return M
