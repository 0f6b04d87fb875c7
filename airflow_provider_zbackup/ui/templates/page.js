"use strict";
(() => {
  const base = document.body.dataset.base, prefix = document.body.dataset.prefix;
  const content = document.getElementById("content"), form = document.getElementById("filter");
  const lost = document.getElementById("lost"), said = document.getElementById("said");
  // Airflow's own window, if the page is shown in it.
  let outer = null;
  try { if (parent !== window && parent.document) outer = parent; } catch { /* Another origin. */ }

  // Theme: browsers tell a frame the theme of the system, which need not be that of Airflow.
  if (outer) {
    const copyTheme = () => {
      const names = outer.document.documentElement.classList, own = document.documentElement.classList;
      own.toggle("dark", names.contains("dark"));
      own.toggle("light", names.contains("light"));
    };
    copyTheme();
    new MutationObserver(copyTheme).observe(outer.document.documentElement, { attributeFilter: ["class"] });
  }

  // Links: Airflow's frame may neither leave itself nor open windows, so a link in Airflow's window does it.
  const follow = (href, target) => {
    if (!outer) { open(href, target); return; }
    const link = outer.document.createElement("a");
    Object.assign(link, { href, target, rel: "noopener" });
    outer.document.body.append(link);
    link.click();
    link.remove();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link?.target === "_blank") {
      event.preventDefault();
      follow(link.href, "_blank");
    } else if (link && "airflow" in link.dataset) {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.shiftKey) follow(link.href, "_blank");
      else if (!outer) location.assign(link.href);
      else {
        outer.history.pushState(null, "", link.href);
        outer.dispatchEvent(new PopStateEvent("popstate", { state: null }));
      }
    } else if (event.target.matches(".copy")) copy(event.target);
  });

  const copy = async (button) => {
    const code = button.closest("details").querySelector("pre");
    try { await navigator.clipboard.writeText(code.textContent); } catch {
      // Without HTTPS there is no clipboard, but there is this.
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
  };

  // Times, in the zone that the user has chosen in Airflow.
  const format = (options, locale = "en-GB") => {
    try {
      const timeZone = (localStorage.getItem("timezone") || "").replaceAll('"', "");
      return new Intl.DateTimeFormat(locale, { ...options, timeZone });
    } catch { return new Intl.DateTimeFormat(locale, options); }
  };
  const span = (seconds, mostHours = 23) => {
    const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
    if (hours > mostHours) return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
    if (hours) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
  };
  const writeTimes = () => {
    const exact = format({ dateStyle: "medium", timeStyle: "long" });
    const short = format({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
    const clock = format({ hour: "2-digit", minute: "2-digit" });
    for (const time of document.querySelectorAll("time")) {
      // An age is by the clock that set the time.
      const skew = Number(time.closest("[data-skew]")?.dataset.skew ?? 0);
      const moment = new Date(time.dateTime), seconds = (Date.now() - moment) / 1000 + skew;
      time.title = exact.format(moment);
      if (time.dataset.form === "age") time.textContent = span(Math.max(0, seconds), 47);
      else if (time.dataset.form === "past") time.textContent = `${span(Math.max(0, seconds))} ago`;
      else if (time.dataset.form === "future" && seconds < 0) time.textContent = `in ${span(-seconds)}`;
      else if (time.dataset.form === "clock") time.textContent = clock.format(moment);
      else time.textContent = short.format(moment);
    }
  };

  // Who made a backup: the browser asks Airflow, which answers what this user may see.
  const ask = async (path) => {
    const response = await fetch(base + path, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(response.statusText);
    return response.json();
  };
  const recent = (lifetime, get) => {
    let asked = -Infinity, answer;
    return () => {
      if (performance.now() - asked > lifetime) {
        asked = performance.now();
        answer = get().catch(() => null);
      }
      return answer;
    };
  };
  const makers = recent(30_000, async () => {
    const found = new Map();
    for (let offset = 0; offset < 1000; offset += 100) {
      const page = await ask("/api/v2/dags/~/dagRuns/~/taskInstances/~/xcomEntries?xcom_key_pattern=zilliz_backup.%25" +
        `&order_by=-timestamp&limit=100&offset=${offset}`);
      for (const entry of page.xcom_entries) found.set(entry.key.replace("zilliz_backup.", ""), entry);
      if (page.xcom_entries.length < 100) break;
    }
    return found;
  });
  const failures = recent(30_000, async () => {
    const since = new Date(Date.now() - 30 * 86_400_000).toISOString();
    const names = ["ZillizCreateBackupOperator", "BackupBeforeOperator"];
    const answer = await ask(`/api/v2/dags/~/dagRuns/~/taskInstances?operator=${names.join("&operator=")}` +
      `&state=failed&limit=100&order_by=-end_date&end_date_gte=${encodeURIComponent(since)}`);
    const tasks = answer.task_instances.filter((task) => names.includes(task.operator) && task.end_date);
    for (const task of tasks) task.cluster = await clusterOf(task);
    return tasks;
  });
  const asked = new Map();
  const clusterOf = async (task) => {
    if (task.rendered_fields?.cluster_id) return task.rendered_fields.cluster_id;
    // Airflow before 3.3 tells the fields only of one task at a time.
    if (!asked.has(task.id)) {
      const parts = [task.dag_id, "dagRuns", task.dag_run_id, "taskInstances", task.task_id].map(encodeURIComponent);
      const path = `/api/v2/dags/${parts.join("/")}` + (task.map_index >= 0 ? `/${task.map_index}` : "");
      asked.set(task.id, ask(path).catch(() => null));
    }
    return (await asked.get(task.id))?.rendered_fields?.cluster_id;
  };
  const taskLink = (task) => {
    const link = document.createElement("a");
    const parts = [task.dag_id, "runs", task.run_id ?? task.dag_run_id, "tasks", task.task_id].map(encodeURIComponent);
    link.href = `${base}/dags/${parts.join("/")}` + (task.map_index >= 0 ? `/mapped/${task.map_index}` : "");
    link.dataset.airflow = "";
    // Long names break after their words.
    for (const piece of `${task.dag_id} · ${task.task_id}`.split(/(?<=[_.-])/)) {
      link.append(piece, document.createElement("wbr"));
    }
    return link;
  };
  const writeMakers = async () => {
    const found = await makers();
    if (!found) return;
    for (const cell of content.querySelectorAll(".made")) {
      const groups = new Map();
      for (const id of cell.dataset.ids.split(" ").filter((id) => found.has(id))) {
        const entry = found.get(id), name = `${entry.dag_id} · ${entry.task_id}`;
        groups.set(name, { entry: groups.get(name)?.entry ?? entry, count: (groups.get(name)?.count ?? 0) + 1 });
      }
      if (!groups.size) continue;
      const lines = [...groups.values()].slice(0, 2).map(({ entry, count }) => {
        const line = document.createElement("div");
        line.append(taskLink(entry));
        if (count > 1) line.append(note(` × ${count}`));
        return line;
      });
      if (groups.size > 2) lines.push(note(`and ${groups.size - 2} other tasks`));
      cell.querySelector(".tasks").replaceChildren(...lines);
      const others = cell.querySelector(".others");
      const left = cell.dataset.manual - [...groups.values()].reduce((sum, { count }) => sum + count, 0);
      if (others) {
        others.hidden = left <= 0;
        others.replaceChildren("manual", note(` × ${left}`));
      }
    }
  };
  const note = (text) => {
    const element = document.createElement("span");
    element.className = "sub";
    element.textContent = text;
    return element;
  };
  const writeFailures = async () => {
    const failed = await failures();
    if (!failed) return;
    // In Sweden a date is written as in the timeline: 2026-03-02.
    const date = format({ dateStyle: "short" }, "sv-SE");
    for (const place of content.querySelectorAll("[data-cluster]")) {
      const own = failed.filter((task) => task.cluster === place.dataset.cluster);
      const chart = place.querySelector(".timeline");
      for (const task of chart ? own : []) {
        const day = chart.querySelector(`[data-date="${date.format(new Date(task.end_date))}"]`);
        if (!day || day.querySelector(".task")) continue;
        const mark = day.querySelector(".ground").cloneNode();
        mark.setAttribute("class", "failed task");
        mark.setAttribute("height", 5);
        day.append(mark);
        day.querySelector("title").textContent += `, failed: ${task.dag_id} · ${task.task_id}`;
      }
      const last = own[0], box = place.querySelector(".failure");
      if (box && last && !(new Date(place.dataset.newest) > new Date(last.end_date))) {
        const time = document.createElement("time");
        Object.assign(time, { dateTime: last.end_date });
        time.dataset.form = "past";
        box.replaceChildren("Failed ", time, ": ", taskLink(last));
      }
    }
    writeTimes();
  };

  // How far a running backup is: only its job tells, and only the task that made it knows the job.
  const jobs = new Map();
  const writeProgress = async () => {
    const found = await makers();
    for (const run of content.querySelectorAll(".run")) {
      const entry = found?.get(run.dataset.backup);
      if (!entry) continue;
      try {
        if (!jobs.has(run.dataset.backup)) {
          const parts = [entry.dag_id, "dagRuns", entry.run_id, "taskInstances", entry.task_id, "xcomEntries", entry.key];
          const xcom = await ask(`/api/v2/dags/${parts.map(encodeURIComponent).join("/")}` +
            `?map_index=${entry.map_index}&deserialize=false&stringify=false`);
          const value = typeof xcom.value === "string" ? JSON.parse(xcom.value) : xcom.value;
          jobs.set(run.dataset.backup, value.job_id);
        }
        const address = `${prefix}/jobs/${encodeURIComponent(jobs.get(run.dataset.backup))}`;
        const response = await fetch(`${address}?connection=${encodeURIComponent(run.dataset.connection)}`);
        const { progress } = await response.json();
        if (progress === null) continue;
        const bar = run.querySelector("progress");
        bar.hidden = false;
        bar.value = progress;
        run.querySelector(".percent").textContent = `${progress} %`;
      } catch { /* The backup is shown without its progress. */ }
    }
  };

  // What the page shows is fetched again and again. What the user has opened stays open.
  const placeOf = (element) => {
    const href = element.getAttribute("href"), id = element.closest("[id]").id;
    return href ? `a[href="${CSS.escape(href)}"]` : `#${CSS.escape(id)} ${element.localName}`;
  };
  let timer, loading, last = content.innerHTML;
  // A screen reader says whatever is put into the page anew. So it hears from here what matters, once.
  const say = () => {
    const text = [...content.querySelectorAll("[data-say]")].map((each) => each.textContent).join(" ");
    if (said.textContent !== text) said.textContent = text;
  };
  const decorate = () => {
    say();
    writeTimes();
    writeProgress();
    return Promise.all([writeMakers(), writeFailures()]);
  };
  const show = (html) => {
    const focused = content.contains(document.activeElement) ? placeOf(document.activeElement) : null;
    const focusAgain = () => {
      // The user may have gone elsewhere, or scrolled away.
      if (focused && document.activeElement === document.body) {
        content.querySelector(focused)?.focus({ preventScroll: true });
      }
    };
    if (html !== last) {
      last = html;
      const opened = [...content.querySelectorAll("details[open]")].map((each) => each.id);
      const scrolled = [...content.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
      content.innerHTML = html;
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
      for (const box of content.querySelectorAll(".scroll")) box.scrollLeft = scrolled.shift() ?? 0;
    }
    focusAgain();
    const projects = JSON.parse(content.firstElementChild?.dataset.projects ?? "[]");
    const select = form?.elements.project, chosen = select?.value;
    if (select && projects.join() !== [...select.options].slice(1).map((each) => each.value).join()) {
      select.replaceChildren(select.options[0], ...projects.map((name) => new Option(name, name, false, name === chosen)));
    }
    // Links to tasks are written anew.
    decorate().then(focusAgain);
    plan();
  };
  const plan = () => {
    clearTimeout(timer);
    const again = Number(content.querySelector("[data-again]")?.dataset.again);
    if (again) timer = setTimeout(load, again * 1000);
  };
  const load = async () => {
    clearTimeout(timer);
    // An answer that is still to come would show what the user has looked for before.
    loading?.abort();
    if (document.hidden) return;
    // A page that only says what is wrong.
    if (content.querySelector('[data-again="0"]')) { location.reload(); return; }
    const own = loading = new AbortController();
    const address = new URL(location.href);
    address.searchParams.set("part", "true");
    address.searchParams.set("zone", format({}).resolvedOptions().timeZone);
    try {
      const response = await fetch(address, { signal: AbortSignal.any([own.signal, AbortSignal.timeout(60_000)]) });
      // The session has ended, or the user may no longer see this.
      if (response.status === 401 || response.status === 403) { location.reload(); return; }
      if (!response.ok) throw new Error(response.statusText);
      show(await response.text());
      lost.hidden = true;
    } catch {
      if (own.signal.aborted) return;
      // The API server restarts, or the network is down. What was shown stays.
      lost.hidden = false;
      timer = setTimeout(load, 5000);
    }
  };
  document.addEventListener("visibilitychange", load);
  // The user has chosen another time zone.
  addEventListener("storage", (event) => { if (event.key === "timezone") load(); });
  if (form) {
    let typing;
    const filter = () => {
      const address = new URL(location.href);
      for (const [name, value] of new FormData(form)) {
        if (value) address.searchParams.set(name, value); else address.searchParams.delete(name);
      }
      address.searchParams.delete("page");
      history.replaceState(null, "", address);
      load();
    };
    form.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(filter, 250); });
    form.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  }

  // The session has ended inside the frame: Airflow's window goes where one logs in, and comes back.
  if (outer && content.querySelector('[data-code="401"]')) {
    const before = Number(sessionStorage.getItem("zilliz-login") || 0);
    if (Date.now() - before > 15_000) {
      sessionStorage.setItem("zilliz-login", Date.now());
      follow(outer.location.href, "_self");
    }
  }
  decorate();
  // The server does not know yet when a day of this user begins.
  if (content.querySelector("[data-again]")?.dataset.again !== "0") load();
})();
