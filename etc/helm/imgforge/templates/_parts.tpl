{{- define "imgforge.labels" -}}
app.kubernetes.io/name: imgforge
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels by which a part's pods are found: a list of the root and the part's name. */}}
{{- define "imgforge.selector" -}}
app.kubernetes.io/name: imgforge
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "imgforge.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What the pods of nodes and of workers have in common. */}}
{{- define "imgforge.pod" -}}
# No variables such as IMGFORGE_NODES_PORT, which look like settings.
enableServiceLinks: false
automountServiceAccountToken: false
# shutdown_delay, graceful_stop_timeout (60 s by default), and 8 s at most to end.
terminationGracePeriodSeconds: {{ add 80 (.Values.settings.IMGFORGE_SHUTDOWN_DELAY | default 0 | int) }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "imgforge.container" -}}
image: {{ include "imgforge.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ .Release.Name }}-settings
  - secretRef:
      name: {{ .Values.existingSecret }}
env:
  # Values of metrics, of all processes.
  - name: RUNTIME_DIRECTORY
    value: /run/imgforge
  - name: TMPDIR
    value: /tmp
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: cache
    mountPath: /var/cache/imgforge
  - name: run
    mountPath: /run/imgforge
  - name: tmp
    mountPath: /tmp
{{- end }}

{{- define "imgforge.volumes" -}}
- name: run
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- end }}

{{/* Spreads the pods of a part over machines and zones: a list of the root and the part's name. */}}
{{- define "imgforge.spread" -}}
{{- $selector := include "imgforge.selector" . -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end }}
